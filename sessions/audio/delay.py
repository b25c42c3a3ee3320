"""DelayFloor: the least delay of a stream, and how fast its sender's clock runs.

An offset is a packet's arrival minus its own time; the least of them is the best guess
at where that time stands on ours. What it learns survives silence: the floor is carried
on at the sender's measured rate, with a figure for how doubtful that has become. All
times are samples at 48 kHz. Pure.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from sessions.audio.drift import samples

BLOCK = samples(1000)
"""Minima are kept per this much sound."""
BLOCKS = 10
"""The running minimum looks back over so many blocks: 10 s of sound."""
FIT_POINTS = 32
FIT_LEAST = 4
FIT_SPAN = samples(60_000)
"""A rate is measured from so many minima, over at least this long."""
RATE_MOST = 300e-6
"""No sound card runs further from its nominal rate."""
RATE_DOUBT = 150e-6
"""How far an unmeasured rate may lie from nominal."""
BLUR = samples(1)
"""A minimum is never known better than this: what differs by less is the same."""
TRUST = samples(5)
"""A floor that may be further off than this is measured anew."""
CLIP = samples(100)
"""Delays above the floor count as jitter up to this; beyond, it was a stall."""
MEMORY = 1000
"""Packets over which the usual jitter is averaged."""
FEW = 100
"""Below so many packets, the usual jitter is not known."""


class DelayFloor:
    """The lower edge of one stream's offsets over time."""

    def __init__(self) -> None:
        self.jitter = 0.0
        """The mean delay above the floor."""
        self._rate = 0.0  # how the floor moves, in samples per sample
        self._doubt = RATE_DOUBT
        self._base: tuple[int, float] | None = None  # a point of the floor
        self._blocks: deque[tuple[int, float]] = deque(maxlen=BLOCKS)
        self._block: tuple[int, float] | None = None
        self._in_block = 0
        self._closed = 0
        self._fit: deque[tuple[int, float]] = deque(maxlen=FIT_POINTS)
        self._heard_at = 0
        self._heard = 0

    def at(self, now: int) -> float | None:
        """The floor at `now`; None before anything was heard."""
        if self._base is None:
            return None
        return self._base[1] + self._rate * (now - self._base[0])

    def doubtful(self, now: int) -> bool:
        """Whether too long a silence has passed to carry the floor on unmeasured."""
        return (now - self._heard_at) * self._doubt > TRUST

    def add(self, at: int, offset: int, *, length: int) -> None:
        """A packet of `length` samples arrived."""
        floor = self.at(at)
        if floor is None or offset < floor:
            self._base = (at, offset)
            floor = offset
        self._heard += 1
        above = min(offset - floor, CLIP)
        self.jitter += (above - self.jitter) / min(self._heard, MEMORY)
        self._heard_at = max(at, self._heard_at)
        if self._block is None or offset < self._block[1]:
            self._block = (at, offset)
        self._in_block += length
        if self._in_block >= BLOCK:
            self._close()

    def anchor(self, at: int, offset: float, *, anew: bool) -> None:
        """The floor is here, whatever was known. `anew`: the sender's time itself has
        jumped, so nothing from before tells its rate."""
        self._blocks.clear()
        self._blocks.append((at, offset))
        self._base = (at, offset)
        self._block, self._in_block, self._heard_at = None, 0, at
        if anew:
            self._fit.clear()
            self._closed = 0

    def measure(self, offsets: list[int]) -> float:
        """Where the floor stands if these offsets are all that is known of it. Few
        packets may all be delayed: their least and their mean both tell by how much,
        once the usual jitter is known."""
        least = min(offsets)
        if self._heard < FEW:
            return least
        mean = sum(min(offset, least + CLIP) for offset in offsets) / len(offsets)
        by_least = least - 2 * self.jitter / (len(offsets) + 1)
        by_mean = max(mean - self.jitter, least - self.slack(offsets))
        return min(least, (by_least + by_mean) / 2)

    def slack(self, offsets: list[int]) -> float:
        """How far above the floor the least of these may be, for all that is likely."""
        least = min(offsets)
        near = sum(offset <= least + 2 * self.jitter for offset in offsets)
        return BLUR + 4 * self.jitter / max(near, 1)

    def _close(self) -> None:
        assert self._block is not None
        self._blocks.append(self._block)
        now = self._heard_at
        self._block, self._in_block = None, 0
        while len(self._blocks) > 1 and self._too_old(now - self._blocks[0][0]):
            self._blocks.popleft()
        rate = self._rate
        self._base = min(self._blocks, key=lambda b: b[1] - rate * b[0])
        self._closed += 1
        if self._closed == BLOCKS:
            self._closed = 0
            self._fit.append(self._base)
            self._measure_rate()

    def _too_old(self, age: int) -> bool:
        return age * self._doubt > TRUST

    def _measure_rate(self) -> None:
        """A straight line through the minima, and how far it may be wrong (3 sigma)."""
        if len(self._fit) < FIT_LEAST or self._fit[-1][0] - self._fit[0][0] < FIT_SPAN:
            return
        points = np.array(self._fit)
        times, floors = (points - points.mean(axis=0)).T
        spread = float(times @ times)
        rate = float(times @ floors) / spread
        residual = float(np.std(floors - rate * times)) + BLUR
        self._rate = max(min(rate, RATE_MOST), -RATE_MOST)
        self._doubt = min(3 * residual / spread**0.5 + 2e-6, RATE_DOUBT)
