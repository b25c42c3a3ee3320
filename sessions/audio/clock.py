"""TrackClock: where on the session's timeline a stream of samples stands.

The stream's own sample count is the clock; the arrival clock only checks it. What was
sent late (a stall, then a burst) keeps its place; what was never sent (a hole) becomes
a gap; drift is taken out a few milliseconds at a time where it is quiet. Pure: time
comes in with each frame.
"""

from __future__ import annotations

from dataclasses import dataclass

from sessions.audio.drift import START_UP, DriftCorrection, RunningMinimum, samples
from sessions.audio.frames import TIMELINE_RATE, Frame, Placed

LATE = samples(40)
"""A frame later than this is held until it is clear why. The promise is 40 ms."""
DECIDE = samples(500)
"""How long late frames are watched before they are called lost or merely slow; what
nobody listened to is no watching."""
START, START_MAX = samples(500), samples(10_000)
"""A stream's first while is held, so that its least delay is known when it begins; for
longer when nobody listened for a part of it."""
HOLD_MAX = samples(2000)
"""A burst that takes longer than this to arrive is no longer held back."""
BURST_PACE = 1.2
"""Sound arriving this much faster than time is a burst: delayed, not lost."""
RESIDUE = samples(1000)
"""What a burst may leave behind as mere delay; beyond it, something was lost too."""
HOLE_SHARE = 0.7
"""A hole shows as a silence of its own length, listened to; the rest is jitter."""
MOVE_MAX = samples(10)
"""By how much a stream is moved at once: half of the usual 20 ms, however much came
together."""
RECENT = samples(1000)
"""Lateness is measured against the least delay of this last while."""


@dataclass(frozen=True, slots=True)
class _Counted:
    """A frame with its place in the stream. All in samples at 48 kHz."""

    frame: Frame
    start: int  # of its first sample, in the stream
    arrival: int
    offset: int  # arrival minus the frame's end: where sample 0 stands if not delayed

    @property
    def end(self) -> int:
        """Behind its last sample, which came at `arrival`."""
        return self.arrival - self.offset


class TrackClock:
    """Places one participant's stream. `origin` is where the stream's sample 0 stands.

    A stream that goes on over a new connection is given the `origin` and the count of
    samples (at 48 kHz) that it had.
    """

    def __init__(self, *, origin: int | None = None, received: int = 0) -> None:
        self.origin = origin
        self.received = received
        self._end = 0  # behind the last placed sample
        self._recent = RunningMinimum(RECENT)
        self._held: list[_Counted] = []
        self._unheard_s = 0.0  # since the first held frame
        self._last_arrival = 0  # of the newest frame that was not held
        self._drift = DriftCorrection()

    def place(self, frame: Frame) -> list[Placed]:
        """The sound that now has its place: none while it is held, then all of it."""
        counted = self._count(frame)
        begun = self._begin(counted.arrival) if self.origin is None else []
        if self.origin is None:
            self._hold(counted)
            return []
        if self._recent.value is None:  # a stream that goes on
            self._recent.add(counted.arrival, self.origin)
            self._last_arrival = counted.arrival
        if not self._held and self._lateness(counted) <= LATE:
            return begun + self._emit([counted], on_time=True)
        self._hold(counted)
        return begun + self._judge(counted.arrival)

    def tick(self, now_s: float, *, unheard_s: float = 0.0) -> list[Placed]:
        """Place held sound that nothing has followed for a while; for `unheard_s` of it
        nobody here listened."""
        now = round((now_s - unheard_s) * TIMELINE_RATE)
        if not self._held:
            return []
        return self._begin(now) if self.origin is None else self._judge(now)

    def flush(self) -> list[Placed]:
        """Place what is still held: the stream has ended."""
        if self.origin is None and self._held:
            return self._begin(self._held[0].arrival + START_MAX)
        return self._judge(self._held[-1].arrival, final=True) if self._held else []

    def _count(self, frame: Frame) -> _Counted:
        scale = TIMELINE_RATE // frame.rate
        start = self.received + frame.skipped * scale
        self.received = start + len(frame.pcm) * scale
        arrival = round(frame.arrival_s * TIMELINE_RATE)
        return _Counted(frame, start, arrival, arrival - self.received)

    def _hold(self, counted: _Counted) -> None:
        self._unheard_s += counted.frame.unheard_s if self._held else 0.0
        self._held.append(counted)

    def _lateness(self, counted: _Counted) -> int:
        assert self._recent.value is not None
        return counted.offset - int(self._recent.value)

    def _begin(self, now: int) -> list[Placed]:
        """Find the origin from a stream's first while: its first frame may be late."""
        if not self._held:
            return []
        first = self._held[0]
        span = now - first.arrival
        if span - round(self._unheard_s * TIMELINE_RATE) < START and span < START_MAX:
            return []
        least = min(counted.offset for counted in self._held)
        self.origin = max(least, first.offset - START_UP, 0)
        return self._emit(self._held, on_time=True)

    def _judge(self, now: int, *, final: bool = False) -> list[Placed]:
        """Late sound: was it delayed, or is some of it missing? `final`: nothing more
        comes, so that it is judged by what there is."""
        assert self.origin is not None
        first, newest = self._held[0], self._held[-1]
        if self._lateness(newest) <= LATE:
            return self._emit(self._held, on_time=True)  # a stall and its burst
        span = now - first.arrival - round(self._unheard_s * TIMELINE_RATE)
        if span < DECIDE and not final:
            return []
        if newest.end - first.end > BURST_PACE * span:  # the burst goes on
            over = span > HOLD_MAX or final
            return self._emit(self._held, on_time=False) if over else []
        hole = min(map(self._lateness, self._held))
        if self._is_hole(hole, first, newest):
            self.origin += hole
            self._drift.restart(hole)
        self._recent.clear()  # their delay is the usual one from here on
        return self._emit(self._held, on_time=True)

    def _is_hole(self, hole: int, first: _Counted, newest: _Counted) -> bool:
        """Only a silence as long as the hole can hide one; a delay grows gradually."""
        if first.offset - newest.offset > LATE:  # a burst came, but not all of it
            return hole > RESIDUE
        scale = TIMELINE_RATE // first.frame.rate
        silence = first.arrival - self._last_arrival - len(first.frame.pcm) * scale
        silence -= round(first.frame.unheard_s * TIMELINE_RATE)
        return hole > LATE and silence >= HOLE_SHARE * hole

    def _emit(self, run: list[_Counted], *, on_time: bool) -> list[Placed]:
        self._held, self._unheard_s = [], 0.0
        if run:
            self._last_arrival = run[-1].arrival
        if on_time:
            for counted in run:
                self._recent.add(counted.arrival, counted.offset)
            self._drift.note(run[-1].arrival, min(c.offset for c in run))
        return [placed for c in run if (placed := self._put(c)) is not None]

    def _put(self, counted: _Counted) -> Placed | None:
        assert self.origin is not None
        pcm, rate = counted.frame.pcm, counted.frame.rate
        scale = TIMELINE_RATE // rate
        longest = min(len(pcm) * scale // 2, MOVE_MAX)
        shift = self._drift.due(self.origin, pcm, longest=longest)
        shift -= shift % scale
        dropped = max(-shift, 0)
        self.origin += shift
        position = max(self.origin + counted.start + dropped, self._end)
        placed = Placed(position, pcm[dropped // scale :], rate)
        self._end = placed.end
        return placed if len(pcm) else None
