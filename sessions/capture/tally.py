"""The tally of one track: what `/metrics` is told of it, a second's worth at a time.

Counting each frame by itself would cost more than some frames do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessions import measures
from sessions.audio.frames import TIMELINE_RATE

if TYPE_CHECKING:
    from sessions.audio.frames import Frame, Placed

TELL_EVERY = 50
"""Frames: of 20 ms, a second of them."""
GAP = 40 * TIMELINE_RATE // 1000


class Tally:
    """Belongs to one capture, on its event loop."""

    def __init__(self, source: str) -> None:
        self.arrived_s = 0.0
        self._source = source
        self._frames = self._gaps = self._gap = 0
        self._told_s = 0.0
        self._end: int | None = None
        measures.STREAMS.labels(source).inc()

    def arrived(self, frame: Frame) -> None:
        self.arrived_s += len(frame.pcm) / frame.rate
        self._frames += 1
        if self._frames >= TELL_EVERY:
            self._tell()

    def placed(self, sound: Placed) -> None:
        if self._end is not None and (hole := sound.position - self._end) > GAP:
            self._gaps += 1
            self._gap += hole
        self._end = sound.end

    def close(self) -> None:
        """The track has ended."""
        self._tell()
        measures.STREAMS.labels(self._source).dec()

    def _tell(self) -> None:
        source = self._source
        measures.FRAMES.labels(source).inc(self._frames)
        measures.AUDIO.labels(source).inc(self.arrived_s - self._told_s)
        if self._gaps:
            measures.GAPS.labels(source).inc(self._gaps)
            measures.GAP_TIME.labels(source).inc(self._gap / TIMELINE_RATE)
        self._told_s = self.arrived_s
        self._frames = self._gaps = self._gap = 0
