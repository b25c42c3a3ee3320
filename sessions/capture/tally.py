"""The tally of one track: what `/metrics` is told of it, a second's worth at a time.

Counting each frame by itself would cost more than some frames do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessions import measures
from sessions.audio.frames import SAMPLES_PER_MS
from sessions.participants import Losses

if TYPE_CHECKING:
    from sessions.audio.frames import Frame, Placed

TELL_EVERY = 50
"""Frames: of 20 ms, a second of them."""
GAP = 40 * SAMPLES_PER_MS
LONG_S = 0.04
"""What waits longer to be taken in is counted."""


class Tally:
    """Belongs to one capture, on its event loop."""

    def __init__(self, source: str) -> None:
        self.arrived_s = 0.0
        self._source = source
        self._frames = self._waited = 0
        self._told_s = 0.0
        self._losses, self._told, self._taken = Losses(), Losses(), Losses()
        self._end: int | None = None
        measures.STREAMS.labels(source).inc()

    def arrived(self, frame: Frame) -> None:
        self.arrived_s += len(frame.pcm) / frame.rate
        self._frames += 1
        if self._frames >= TELL_EVERY:
            self._tell()

    def came(self, waited_s: float) -> None:
        """Something is taken in that came so long ago."""
        self._waited += waited_s > LONG_S

    def placed(self, sound: Placed) -> None:
        if self._end is not None:
            hole = sound.position - self._end
            if sound.missing is not None:
                hole = min(hole, sound.missing)
            if hole > GAP:
                self._losses += Losses(gaps=1, gap_ms=hole // SAMPLES_PER_MS)
        self._end = sound.end

    def take_losses(self) -> Losses:
        """Since they were taken last."""
        new, self._taken = self._losses - self._taken, self._losses
        return new

    def close(self) -> None:
        """The track has ended."""
        self._tell()
        measures.STREAMS.labels(self._source).dec()

    def _tell(self) -> None:
        source = self._source
        measures.FRAMES.labels(source).inc(self._frames)
        measures.WAITED.labels(source).inc(self._waited)
        measures.AUDIO.labels(source).inc(self.arrived_s - self._told_s)
        new = self._losses - self._told
        if new.gaps:
            measures.GAPS.labels(source).inc(new.gaps)
            measures.GAP_TIME.labels(source).inc(new.gap_ms / 1000)
        self._told, self._told_s = self._losses, self.arrived_s
        self._frames = self._waited = 0
