"""Voice out to Discord: what a `Mouth` says, as frames of a call.

discord.py's player paces, in a thread of its own; it is started with the first word and
ends with the last. What went out is told on the event loop. Nobody opens what is said
before the keys of the call are shared: a first word waits for them.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

import numpy as np
import structlog
from discord import AudioSource

from bot.discord.linking.connection import ListeningClient
from bot.voice.playout import FRAME_MS, Piece, Playout
from sessions.audio.frames import TIMELINE_RATE

log = structlog.get_logger(__name__)

KEYS_WITHIN_S = 5.0
"""They take two round trips of whoever is in the call; longer than this they do not
come, and the recording has at least what was said."""
LOOK_S = 0.02


class Told(Protocol):
    def sent(self, frame: bytes | None, *, skipped: int) -> None:
        """A frame went out, behind so many that were silence."""

    def said(self, piece: Piece) -> None:
        """A piece was said, or cut."""


class SpeechOut(AudioSource):
    """`mouth.Line` on a Discord call. Lives through its reconnections."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.playout = Playout(TIMELINE_RATE)
        self.told: Told | None = None
        self._client: ListeningClient | None = None
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()  # the player's thread, and the event loop
        self._saying: deque[Piece] = deque()
        self._due_s: float | None = None  # when the next frame is expected
        self._keys_by_s: float | None = None  # of this connection
        self._look: asyncio.TimerHandle | None = None

    @property
    def rate(self) -> int:
        return self.playout.rate

    def connect(self, client: ListeningClient) -> None:
        """Speak over this connection from now on, also what is not said yet."""
        self._client = client
        self._keys_by_s = None
        if self.playout.is_playing:
            self._play()

    def say(self, piece: Piece) -> None:
        with self._lock:
            self.playout.put(piece)
            self._saying.append(piece)
        self._play()

    def hush(self) -> None:
        with self._lock:
            self.playout.clear()
        self._tell_said()

    def close(self) -> None:
        """Nothing more is said."""
        self.hush()
        client, self._client = self._client, None
        if client is not None:
            client.stop()

    # --- the player's thread ----------------------------------------------------------

    def read(self) -> bytes:
        """20 ms of 48 kHz stereo; nothing when all is said, and the player ends."""
        with self._lock:
            skipped = self._silent_frames()
            frame = self.playout.frame() if self.playout.is_playing else None
        if frame is None:
            return b""
        self._loop.call_soon_threadsafe(self._sent, frame, skipped)
        return np.frombuffer(frame, dtype="<i2").repeat(2).tobytes()

    def is_opus(self) -> bool:
        return False

    def _silent_frames(self) -> int:
        """How many frames of silence lie before this one: the player is not called for
        them."""
        now, frame_s = self._clock(), FRAME_MS / 1000
        due_s, self._due_s = self._due_s, None
        skipped = 0 if due_s is None else max(round((now - due_s) / frame_s), 0)
        self._due_s = (now if due_s is None else due_s + skipped * frame_s) + frame_s
        self.playout.skip(skipped)
        return skipped

    # --- the event loop ---------------------------------------------------------------

    def _play(self) -> None:
        client = self._client
        if client is None or client.is_playing() or not client.is_connected():
            return
        if self._look is not None:
            self._look.cancel()
        if self._waits_for_keys(client):
            self._look = self._loop.call_later(LOOK_S, self._play)
        else:
            client.play(self, after=self._played, application="voip")

    def _waits_for_keys(self, client: ListeningClient) -> bool:
        now = self._clock()
        if self._keys_by_s is None:
            self._keys_by_s = now + KEYS_WITHIN_S
        return not client.can_be_heard and now < self._keys_by_s

    def _played(self, error: Exception | None) -> None:
        """On the player's thread, at its end."""
        if error is not None:
            log.warning("discord.not_said", why=type(error).__name__)
        self._loop.call_soon_threadsafe(self._go_on)

    def _go_on(self) -> None:
        """More may have come while the player ended."""
        self._tell_said()
        if self.playout.is_playing:
            self._play()

    def _sent(self, frame: bytes, skipped: int) -> None:
        if self.told is not None:
            self.told.sent(frame, skipped=skipped)
        self._tell_said()

    def _tell_said(self) -> None:
        while self._saying:
            piece = self._saying[0]
            if piece.ended is None and not piece.cut:
                return
            self._saying.popleft()
            if self.told is not None:
                self.told.said(piece)
