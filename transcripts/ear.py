"""An ear: one track's sound at 16 kHz, its windows, and the utterances cut from it.

Keeps the mapping between windows and the session's timeline, whatever gaps come. No
Django, no asyncio, no clock of its own; owned by one thread.
"""

from __future__ import annotations

import uuid
from collections import deque
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from sessions.audio.frames import TIMELINE_RATE, Placed
from transcripts.speech import Endpointer, Endpointing, Stretch
from transcripts.spoken import RATE, SCALE
from transcripts.vad import WINDOW, Floats, VadState

TAIL = RATE // 5
"""Samples kept behind the last voiced window: 200 ms, for a soft last consonant."""
JUMP_S = 2.0
"""A gap longer than this is not filled with silence: the utterance ends there."""
QUIETEST = 0.025
"""A track whose peak is below this (-32 dBFS) is lifted no further: 20 dB at most."""
LOUD_ENOUGH = 0.25
PEAK_DECAY = 0.994
"""Per window: the remembered peak halves in 3.7 s."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One utterance: `start` and `end` bound the speech, `audio` (int16, 16 kHz) begins
    at `audio_start`; positions in samples at 48 kHz since time zero."""

    utterance_id: uuid.UUID
    start: int
    end: int
    audio_start: int
    audio: NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class _Jump:
    """The sound goes on at another place of the timeline; None: it does not go on."""

    position: int | None


class Ear:
    """Feed it placed sound, take windows, tell it their probabilities, get cuts."""

    def __init__(self, endpointing: Endpointing, *, preroll_ms: int) -> None:
        self.vad_state = VadState()
        self.closed = False
        self._silence = (endpointing.silence_windows + 2) * WINDOW
        self._preroll = preroll_ms * RATE // 1000
        self._endpointer = Endpointer(endpointing)
        self._coming: deque[NDArray[np.int16] | _Jump] = deque()
        self._waiting = 0  # samples in it
        self._resampler: soxr.ResampleStream | None = None
        self._rate = RATE
        self._expected: int | None = None  # where the next sound is due, at 48 kHz
        self._windows: deque[NDArray[np.int16]] = deque()  # those that may be needed
        self._judged = 0  # windows taken so far; the last of them ends `_windows`
        self._origin = 0  # the position of the first sample of window 0
        self._given = 0  # samples that already belong to an utterance
        self._peak = LOUD_ENOUGH
        self._utterance_id = uuid.uuid4()

    @property
    def speaking(self) -> bool:
        return self._endpointer.start is not None

    @property
    def speech_s(self) -> float:
        """How long the open utterance is, in seconds."""
        start = self._endpointer.start
        return (self._judged - start) * WINDOW / RATE if start is not None else 0.0

    @property
    def waiting_s(self) -> float:
        """How much of what it was given is not judged yet, in seconds."""
        return self._waiting / RATE

    @property
    def settled(self) -> int:
        """The position before which no sound can belong to an utterance to come."""
        start = self._endpointer.start
        windows = start if start is not None else self._judged
        return self._position(max(windows * WINDOW - self._preroll, self._given))

    def add(self, placed: Placed) -> None:
        """Take the track's next sound; gaps become silence, or a jump."""
        if self._expected is None:
            self._coming.append(_Jump(placed.position))
        elif (gap := placed.position - self._expected) > JUMP_S * TIMELINE_RATE:
            self._jump(placed.position)
        elif gap > 0:
            self._resampled(np.zeros(gap * self._rate // TIMELINE_RATE, np.int16))
        if placed.rate != self._rate:
            self._rate = placed.rate
            self._resampler = soxr.ResampleStream(placed.rate, RATE, 1, dtype="int16")
        self._resampled(placed.pcm)
        self._expected = placed.end

    def end(self) -> None:
        """No more sound will come: behind the last window the ear is closed."""
        self._jump(None)

    def window(self) -> Floats | None:
        """The next 512 samples, float32, lifted if quiet; None while there are none."""
        if self._ready() < WINDOW:
            return None
        pcm = self._take(WINDOW)
        self._windows.append(pcm)
        self._judged += 1
        window = pcm.astype(np.float32) / np.float32(32768)
        self._peak = max(self._peak * PEAK_DECAY, float(np.abs(window).max()), QUIETEST)
        if self._peak >= LOUD_ENOUGH:
            return window
        return np.clip(window * np.float32(LOUD_ENOUGH / self._peak), -1.0, 1.0)

    def judge(self, probability: float) -> Cut | None:
        """The window's probability; the utterance that ended with it, if one did."""
        stretch = self._endpointer.push(probability)
        cut = self._cut(stretch) if stretch else None
        start = self._endpointer.start
        needed = (start if start is not None else self._judged) * WINDOW - self._preroll
        self._forget(max(needed, self._given))
        return cut

    @property
    def jumping(self) -> bool:
        """Whether the sound goes on elsewhere, or ends, behind the last window."""
        return any(isinstance(item, _Jump) for item in self._coming)

    def settle(self) -> Cut | None:
        """Go where the sound jumped to, once `window` has no more in front of it."""
        while not isinstance(item := self._coming.popleft(), _Jump):
            self._waiting -= len(item)  # of the silence in front of the jump
        cut = self.flush()
        self.vad_state.reset()
        self._windows.clear()
        if item.position is None:
            self.closed = True
        else:
            self._given = self._judged * WINDOW
            self._origin = item.position - self._given * SCALE
        return cut

    def flush(self) -> Cut | None:
        """End the open utterance now: nothing has come for a while."""
        stretch = self._endpointer.flush()
        return self._cut(stretch) if stretch else None

    def so_far(self) -> Cut | None:
        """The open utterance up to now, for provisional text."""
        start = self._endpointer.start
        if start is None:
            return None
        return self._piece(start, self._judged, until=self._judged * WINDOW)

    def _jump(self, position: int | None) -> None:
        if self._resampler is not None:
            rest = self._resampler.resample_chunk(np.zeros(0, np.int16), last=True)
            self._put(rest)
            self._resampler, self._rate = None, RATE
        if self.speaking or self._ready() >= WINDOW or self.jumping:
            # As much silence as ends what is open, and fills the last window.
            self._put(np.zeros(self._silence + WINDOW - 1, np.int16))
        self._coming.append(_Jump(position))

    def _resampled(self, pcm: NDArray[np.int16]) -> None:
        if self._resampler is not None:
            pcm = self._resampler.resample_chunk(pcm)
        self._put(pcm)

    def _put(self, pcm: NDArray[np.int16]) -> None:
        if len(pcm):
            self._coming.append(pcm)
            self._waiting += len(pcm)

    def _ready(self) -> int:
        """Samples in front of the next jump, or at least a window of them."""
        count = 0
        for item in self._coming:
            if isinstance(item, _Jump) or count >= WINDOW:
                break
            count += len(item)
        return count

    def _take(self, count: int) -> NDArray[np.int16]:
        parts = []
        self._waiting -= count
        while count:
            part = self._coming.popleft()
            assert not isinstance(part, _Jump)
            if len(part) > count:
                self._coming.appendleft(part[count:])
                part = part[:count]
            parts.append(part)
            count -= len(part)
        return np.concatenate(parts)

    def _cut(self, stretch: Stretch) -> Cut:
        until = min(stretch.end * WINDOW + TAIL, self._judged * WINDOW)
        cut = self._piece(stretch.start, stretch.end, until=until)
        self._given = until
        self._utterance_id = uuid.uuid4()
        return cut

    def _piece(self, start: int, end: int, *, until: int) -> Cut:
        """Windows `start` to `end`, with the pre-roll, and all `until` a sample."""
        first = self._judged - len(self._windows)
        since = max(start * WINDOW - self._preroll, self._given, first * WINDOW)
        kept = np.concatenate(self._windows) if self._windows else np.zeros(0, np.int16)
        audio = kept[since - first * WINDOW : until - first * WINDOW].copy()
        return Cut(
            self._utterance_id,
            start=self._position(start * WINDOW),
            end=self._position(end * WINDOW),
            audio_start=self._position(since),
            audio=audio,
        )

    def _position(self, sample: int) -> int:
        return max(self._origin + sample * SCALE, 0)

    def _forget(self, before: int) -> None:
        """Drop windows that lie wholly before a sample: no utterance needs them."""
        while self._windows:
            first = self._judged - len(self._windows)
            if (first + 1) * WINDOW > before:
                break
            self._windows.popleft()
