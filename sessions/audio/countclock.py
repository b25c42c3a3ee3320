"""CountClock: where our own voice stands on a session's timeline.

We pace it ourselves, so its count is the time: nothing is late, nothing drifts, and
what could not be sent in time is said to be skipped. Pure.
"""

from __future__ import annotations

from sessions.audio.frames import TIMELINE_RATE, Frame, Placed


class CountClock:
    """As TrackClock, for a stream that is sent from here: it begins with the arrival of
    its first frame's beginning."""

    def __init__(self) -> None:
        self.origin: int | None = None
        self.received = 0

    def place(self, frame: Frame) -> list[Placed]:
        if self.origin is None:
            self.origin = round(frame.arrival_s * TIMELINE_RATE)
        scale = TIMELINE_RATE // frame.rate
        start = self.received + frame.skipped * scale
        self.received = start + len(frame.pcm) * scale
        return [Placed(self.origin + start, frame.pcm, frame.rate, missing=0)]

    def tick(self, now_s: float, *, unheard_s: float = 0.0) -> list[Placed]:
        """Nothing is ever held."""
        return []

    def flush(self) -> list[Placed]:
        return []
