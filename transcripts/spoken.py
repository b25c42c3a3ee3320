"""Spoken: a stretch of speech as the listener cut it, and what is new of one that is
heard again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from uuid import UUID

from sessions.audio.frames import TIMELINE_RATE

RATE = 16_000
SCALE = TIMELINE_RATE // RATE
COVERED = 0.8
NEAR = TIMELINE_RATE // 5
"""Speech heard a second time is cut nearly, not exactly, as the first time. What lies
in front of a line by less than that belongs to its sound anyway; what reaches into one
by no more is not the same once more."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """One stretch of speech as the listener cut it.

    Positions are samples at 48 kHz since time zero; `audio` is 16-bit little-endian
    mono PCM at 16 kHz that begins at `audio_start`.
    """

    public_id: UUID
    session_id: int
    participant_id: int
    start: int
    end: int
    audio_start: int
    audio: bytes

    @property
    def ids(self) -> dict[str, int]:
        """What stands on each line of the log about it."""
        return {"session": self.session_id, "track": self.participant_id}

    def beside(self, known: Iterable[tuple[int, int]]) -> Spoken | None:
        """What of it is not known yet: stretches from and to, of the same speaker.
        None where that is nearly nothing."""
        start, end, covered = self.start, self.end, 0
        stretches = sorted(known)
        if not stretches:
            return self
        for begin, until in stretches:
            covered += max(min(until, self.end) - max(begin, self.start), 0)
            if begin - NEAR <= start < until - NEAR:
                start = until
        for begin, until in reversed(stretches):
            if begin + NEAR < end <= until + NEAR:
                end = begin
        if covered >= COVERED * max(self.end - self.start, 1) or start >= end:
            return None
        return self._within(start, end)

    def _within(self, start: int, end: int) -> Spoken:
        """Where it is not cut it keeps what was heard in front of it and behind."""
        audio, audio_start = self.audio, self.audio_start
        if end < self.end:
            audio = audio[: 2 * max((end - audio_start) // SCALE, 0)]
        if start > self.start:
            audio = audio[2 * max((start - audio_start) // SCALE, 0) :]
            audio_start = start
        return replace(self, start=start, end=end, audio=audio, audio_start=audio_start)
