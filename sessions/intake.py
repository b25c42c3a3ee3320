"""Intake: how much speakers may send us, over all their connections.

What one connection may send says nothing of one who connects again and again. So it is
counted by stream, and what comes faster than time also by address and by session. Sound
that comes in its time is nobody else's business: who floods takes nothing from it.

Of this process: who reaches several of them has as many allowances.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings

from sessions.allowance import REFILL_S, Allowance, Kept
from sessions.background import PerLoop
from sessions.errors import VoiceError
from sessions.wire import WireError

PACE = 1.05
"""Seconds of sound in a second: clocks differ, and what waited is caught up."""
HEADSTART_S = 5.0
"""So much of a new stream is not ahead yet: the largest frame has 4.1 s, at 8 kHz."""
MESSAGES_PER_S = 400.0
"""The shortest sensible frame is 2.5 ms; a backlog of 30 s may come at once."""
MESSAGES_BURST = 4_000.0
TOGETHER = 60
"""So many may be ahead of time as far as one may be: all who stand behind one address,
or are in one session, and come back at once."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """A stream, and where it comes from: an `address` as `network` has it, "" if nobody
    knows, for which then nothing is counted."""

    session_id: int
    key: str
    address: str


class Stream:
    """What one stream may send: how far ahead of time, and how much in time."""

    def __init__(self) -> None:
        most = settings.AUDIO_MAX_AHEAD_S
        self.messages = Allowance(MESSAGES_PER_S, MESSAGES_BURST)
        self.seconds = Allowance(PACE, most)
        self.in_time = Allowance(PACE, most, left=HEADSTART_S)


class Intake:
    """Of one event loop."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._streams = Kept(Stream)
        self._ahead = Kept(_ahead)
        self._newcomers = Kept(_newcomers)

    def admit(self, speaker: Speaker) -> None:
        """Let somebody begin, or go on. Raises VoiceError `crowded` when too many new
        ones came from their address into this session."""
        now, address = self._clock(), speaker.address
        key = speaker.session_id, speaker.key
        if not self._streams.knows(key) and address and settings.TRACKS_PER_SESSION:
            came = self._newcomers.of((speaker.session_id, address), now=now)
            if not came.take(1, now=now):
                message = "Too many new speakers come from your address."
                raise VoiceError("crowded", message, status=429)
        self._streams.of(key, now=now)

    def spend(self, speaker: Speaker, seconds: float) -> None:
        """One message with so much sound. Raises WireError `flood`."""
        now = self._clock()
        stream = self._streams.of((speaker.session_id, speaker.key), now=now)
        if not stream.messages.take(1, now=now):
            raise WireError("flood", "Too many messages.")
        if not stream.seconds.take(seconds, now=now):
            raise WireError("flood", "Sound came faster than time.")
        if stream.in_time.take(seconds, now=now):
            return
        for together in (speaker.address, speaker.session_id):
            if not together:
                continue
            if not self._ahead.of(together, now=now).take(seconds, now=now):
                message = "Too much sound came ahead of time, with that of others."
                raise WireError("flood", message)

    def __len__(self) -> int:
        """How much is remembered."""
        return len(self._streams) + len(self._ahead) + len(self._newcomers)


def _ahead() -> Allowance:
    return _refilled(TOGETHER * settings.AUDIO_MAX_AHEAD_S)


def _newcomers() -> Allowance:
    return _refilled(settings.TRACKS_PER_SESSION)


def _refilled(burst: float) -> Allowance:
    return Allowance(burst / REFILL_S, burst)


_intakes = PerLoop(Intake)


def intake() -> Intake:
    """The intake of the running event loop."""
    return _intakes.here()
