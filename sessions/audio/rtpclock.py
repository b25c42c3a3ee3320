"""RtpClock: where on the session's timeline a stream of RTP packets stands.

The sender's timestamps are the clock inside a talkspurt; the least delay of the last
seconds anchors them to ours, anew at every talkspurt. A sender that stops its clock in
silence is told from a stall by what follows. Inside a spurt only drift is taken out, a
few milliseconds at a time, where it is quiet. Pure: places packets, knows no sound but
its loudness; time comes in with each packet and with `tick`.
"""

from __future__ import annotations

from sessions.audio.delay import BLUR, DelayFloor
from sessions.audio.drift import samples
from sessions.audio.frames import TIMELINE_RATE
from sessions.audio.quiet import QuietSteps
from sessions.audio.stamped import Placement, Stamped
from sessions.audio.standstill import (
    AT_ONCE,
    LATE,
    STOPPED,
    Timed,
    bursting,
    end_of_spurt,
    stood_still,
    telling,
)

SPURT = samples(200)
"""A longer gap in the timestamps ends a talkspurt."""
OUTAGE = samples(2000)
"""What was lost in one piece, up to this, does not end one."""
DECIDE = samples(500)
"""How long packets are watched before their delay is believed."""
ENOUGH = 32
"""With fewer that tell something, packets are watched twice as long: of 24 with 60 ms
of jitter the least delayed may be 13 ms late (one such spurt in 300), of 32, 10 ms."""
HOLD_MAX = samples(2000)
"""Not even a burst is waited for longer."""


class RtpClock:
    """Places one sender's packets. They come in order; all come out, in order, each of
    them once: at once mostly, or after 0.5 to 1 s (a burst: 2 s) where a stream begins,
    a clock stood still, or a long silence made the delay doubtful. Placements rise and
    never overlap, and none is before `begin`.
    """

    def __init__(self, *, begin: int = 0) -> None:
        self._end = begin
        self._origin: int | None = None  # where timestamp 0 stands
        self._floor = DelayFloor()
        self._steps = QuietSteps()
        self._held: list[Timed] = []
        self._last: Timed | None = None  # of those no longer held
        self._paused = False
        self._runs_on = False

    def place(self, packet: Stamped) -> list[Placement]:
        """What now has its place: none while it is held, then all of it."""
        arrival = round(packet.arrival_s * TIMELINE_RATE)
        offset = arrival - packet.timestamp - packet.samples
        before = self._held[-1] if self._held else self._last
        if packet.concealed and before:
            arrival, offset = before.arrival, before.offset
        return self._judge(arrival) + self._take(Timed(packet, arrival, offset))

    def tick(self, now_s: float) -> list[Placement]:
        """Place held sound that nothing has followed for a while. Call it a few times
        a second, behind the packets that have arrived."""
        return self._judge(round(now_s * TIMELINE_RATE))

    def pause(self) -> None:
        """The sender said that it stopped speaking: the next packet begins a spurt."""
        self._paused = True

    def flush(self) -> list[Placement]:
        """Place what is still held: the stream has ended."""
        placed: list[Placement] = []
        while self._held:
            placed += self._settle()
        return placed

    def _take(self, timed: Timed) -> list[Placement]:
        placed = self.flush() if timed.packet.restarted else []
        if timed.packet.restarted:
            self._origin = None
        if self._held or self._origin is None or self._unclear(timed):
            self._held.append(timed)
            return placed + self._judge(timed.arrival)
        return placed + self._emit([timed])

    def _take_all(self, run: list[Timed]) -> list[Placement]:
        return [placed for timed in run for placed in self._take(timed)]

    def _unclear(self, timed: Timed) -> bool:
        assert self._last is not None
        floor = self._floor.at(timed.arrival) or 0.0
        return (
            timed.offset - self._last.offset > STOPPED
            or (self._paused and timed.offset - floor > LATE)
            or (self._begins_spurt(timed) and self._floor.doubtful(timed.arrival))
        )

    def _begins_spurt(self, timed: Timed) -> bool:
        if self._last is None or self._paused:
            return True
        packet, last = timed.packet, self._last.packet
        gap = packet.timestamp - last.timestamp - last.samples
        return gap - min(packet.lost * packet.samples, OUTAGE) > SPURT

    def _judge(self, now: int) -> list[Placement]:
        """Is it clear by now what the held packets mean?"""
        if not self._held:
            return []
        first, newest = self._held[0], self._held[-1]
        floor = self._known_floor(newest.arrival)
        known = floor is not None and not self._floor.doubtful(first.arrival)
        if known and floor is not None and newest.offset - floor <= LATE:
            return self._release()  # it was a stall
        waited = now - first.arrival
        if waited < DECIDE:
            return []
        if waited < 2 * DECIDE and len(telling(self._held)) < ENOUGH:
            return []
        read = now - newest.arrival >= AT_ONCE and not bursting(self._held, now)
        return self._settle() if read or waited >= HOLD_MAX else []

    def _known_floor(self, now: int) -> float | None:
        return None if self._origin is None else self._floor.at(now)

    def _settle(self) -> list[Placement]:
        """Find the anchor from what is held, and place it."""
        run, rest = self._first_run()
        offsets = telling(run)
        at, least = run[-1].arrival, min(offsets)
        floor = self._known_floor(at)
        if floor is None or self._last is None:
            self._anchor(at, offsets)
        elif self._above(offsets, floor):
            if left := end_of_spurt(run, self._last):
                self._held = run[:left]
                placed = self._release()
                self._paused = True
                return placed + self._take_all(run[left:] + rest)
            if stood_still(run, self._last, runs_on=self._runs_on):
                self._anchor(at, offsets)
        elif self._begins_spurt(run[0]) and self._floor.doubtful(run[0].arrival):
            floor = min(max(floor, least - self._floor.slack(offsets)), least)
            self._floor.anchor(at, floor, anew=False)
        self._held = run
        return self._release() + self._take_all(rest)

    def _anchor(self, at: int, offsets: list[int]) -> None:
        self._floor.anchor(at, self._floor.measure(offsets), anew=True)
        self._paused = True  # what follows stands where it belongs
        self._runs_on = False

    def _first_run(self) -> tuple[list[Timed], list[Timed]]:
        """The held packets up to where the clock stood still a second time."""
        held = self._held
        for i in range(1, len(held)):
            if held[i].offset - held[i - 1].offset > STOPPED:
                before = min(telling(held[:i]))
                if self._above(telling(held[i:]), before):
                    return held[:i], held[i:]
        return held, []

    def _above(self, offsets: list[int], floor: float) -> bool:
        """Whether no likely delay explains that these are so far above the floor."""
        return min(offsets) - floor > LATE + self._floor.slack(offsets)

    def _release(self) -> list[Placement]:
        run, self._held = self._held, []
        return self._emit(run)

    def _emit(self, run: list[Timed]) -> list[Placement]:
        for timed in run:
            if not timed.packet.concealed:
                length = timed.packet.samples
                self._floor.add(timed.arrival, timed.offset, length=length)
        return [self._put(timed) for timed in run]

    def _put(self, timed: Timed) -> Placement:
        packet, now = timed.packet, timed.arrival
        floor = self._floor.at(now)
        assert floor is not None
        dropped = 0
        if self._origin is None or self._begins_spurt(timed):
            self._runs_on = self._runs_on or not self._paused
            origin = max(round(floor), self._end - packet.timestamp)
            if self._origin is None or abs(origin - self._origin) > BLUR:
                self._origin = origin
            self._steps.begin(now)
        elif not packet.concealed:
            error, length = floor - self._origin, packet.samples
            shift = self._steps.due(error, at=now, rms=packet.rms, length=length)
            self._origin += shift
            dropped = max(-shift, 0)
        self._last, self._paused = timed, False
        position = max(self._origin + packet.timestamp + dropped, self._end)
        placement = Placement(packet, position, dropped)
        self._end = placement.end
        return placement
