"""Frames: a piece of sound with its format, before and after it has a position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TIMELINE_RATE = 48_000
"""Positions count samples at this rate since the session's time zero."""

SAMPLES_PER_MS = TIMELINE_RATE // 1000
"""For people, JSON and SQL, which count milliseconds."""

PCM_RATES = (8_000, 16_000, 24_000, 48_000)
"""The rates a source may send: each divides the timeline's evenly."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What arrived. `pcm` is int16 mono at `rate`; `arrival_s` is on the capture's
    clock: seconds since time zero. `skipped` samples at `rate` were lost before it; for
    `unheard_s` of the time before it, nobody here listened."""

    pcm: NDArray[np.int16]
    rate: int
    arrival_s: float
    skipped: int = 0
    unheard_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Placed:
    """Sound at its place: `position` in samples at 48 kHz since time zero. `missing` of
    the samples between it and what came before were sent and never came; None: all of
    them, for its source sends without a pause."""

    position: int
    pcm: NDArray[np.int16]
    rate: int
    missing: int | None = None

    @property
    def end(self) -> int:
        """The position behind the last sample."""
        return self.position + len(self.pcm) * (TIMELINE_RATE // self.rate)
