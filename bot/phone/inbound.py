"""The caller's sound on its way to the capture: at a rate the timeline divides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import soxr

from sessions.audio.frames import TIMELINE_RATE

if TYPE_CHECKING:
    from bot.phone.protocol import Audio


def track_rate(rate: int) -> int:
    """The rate of a track that is fed at this one."""
    return rate if TIMELINE_RATE % rate == 0 else TIMELINE_RATE


class Inbound:
    """One line's sound at the rate of its track: as it is, or resampled."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._from = rate
        self._stream: soxr.ResampleStream | None = None

    def pcm(self, audio: Audio) -> bytes:
        """The samples at `rate`; what the resampler still holds comes with the next."""
        if audio.rate != self._from:
            self._from = audio.rate
            self._stream = None
        if audio.rate == self.rate:
            return audio.pcm
        if self._stream is None:
            self._stream = soxr.ResampleStream(audio.rate, self.rate, 1, dtype="int16")
        pcm = np.frombuffer(audio.pcm, "<i2").astype(np.int16, copy=False)
        resampled: bytes = self._stream.resample_chunk(pcm).astype("<i2").tobytes()
        return resampled
