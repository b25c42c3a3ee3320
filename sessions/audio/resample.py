"""Resampling a placed track to 48 kHz, without moving a sample.

Sound that follows on without a gap goes through one resampler; a gap ends it, so that
nothing is filtered into a silence and no delay is carried over it.
"""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

from sessions.audio.frames import TIMELINE_RATE, Placed

Piece = tuple[int, NDArray[np.int16]]
"""A position in samples at 48 kHz, and the sound that stands there."""


class Upsampler:
    """One track of int16 mono, from its own rate to the timeline's."""

    def __init__(self) -> None:
        self._stream: soxr.ResampleStream | None = None
        self._position = 0  # where the resampler's next sample stands
        self._end = -1  # behind what went in last
        self._rate = TIMELINE_RATE

    def put(self, placed: Placed) -> list[Piece]:
        """Take the next sound of the track; what is ready, in order."""
        if placed.rate == TIMELINE_RATE:
            return [(placed.position, placed.pcm)]
        ready = []
        if placed.position != self._end or placed.rate != self._rate:
            ready = self.flush()
            self._stream = soxr.ResampleStream(
                placed.rate, TIMELINE_RATE, 1, dtype="float32", quality="HQ"
            )
            self._position, self._rate = placed.position, placed.rate
        self._end = placed.end
        assert self._stream is not None
        sound = placed.pcm.astype(np.float32)
        return ready + self._out(self._stream.resample_chunk(sound))

    def flush(self) -> list[Piece]:
        """What the resampler still holds: sound has ended, or a gap has come."""
        stream, self._stream = self._stream, None
        if stream is None:
            return []
        rest = stream.resample_chunk(np.zeros(0, np.float32), last=True)
        return self._out(rest[: max(self._end - self._position, 0)])

    def _out(self, sound: NDArray[np.float32]) -> list[Piece]:
        # Rounded here: soxr dithers its own int16, and no two runs would be alike.
        pcm = np.clip(np.rint(sound), -32768, 32767).astype(np.int16)
        position, self._position = self._position, self._position + len(pcm)
        return [(position, pcm)] if len(pcm) else []
