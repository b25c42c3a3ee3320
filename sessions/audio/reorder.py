"""Reorder: RTP packets back in the order they were sent, each of them once.

Unwraps 16-bit sequence numbers and 32-bit timestamps to integers that rise for as long
as the track lives, whatever the sender does; holds a packet whose predecessor is
missing until that comes, or until a bound; says what was lost. Decodes nothing, places
nothing. Pure: time comes in with each packet and with `tick`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from sessions.audio.frames import TIMELINE_RATE

HOLD_S = 0.08
"""How long a missing packet is waited for. At 60 ms of jitter and packets of 20 ms, one
comes at most 40 ms behind its successor."""
HOLD_MOST = 16
"""So many packets are held at most: a burst does not wait for what was lost in it."""
SLACK_S = 5.0
"""A sender's numbers run no faster than time, but for this: a stall, then a burst."""
RATE_SLACK = 1.001
DENSEST = 400
"""Packets per second: Opus packets are 2.5 ms long or longer."""
MISORDER = 128
"""A packet further behind its time than this belongs to no one (RFC 3550 says 100)."""
ROOM = 1 << 16
"""Numbers left free where a sender starts anew, for what overtakes its first packet."""
REMEMBERED = 512
"""Lost packets that are still known by number, to tell a late one from a duplicate."""


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """A packet as it was received: 16-bit `sequence`, 32-bit `timestamp` (48 kHz),
    `arrival_s` in seconds since the session's time zero."""

    sequence: int
    timestamp: int
    arrival_s: float
    payload: bytes = b""
    ssrc: int = 0


@dataclass(frozen=True, slots=True)
class Ordered:
    """A packet in its turn. `sequence` and `timestamp` rise; they wrap no more. `lost`
    packets are missing directly before it. `restarted`: the sender began anew, and the
    timestamp says nothing about the time since the packet before."""

    sequence: int
    timestamp: int
    arrival_s: float
    payload: bytes = b""
    lost: int = 0
    restarted: bool = False


@dataclass(slots=True)
class Counts:
    """What became of the packets. Those that came `late` were called `lost` before."""

    lost: int = 0
    late: int = 0
    duplicates: int = 0
    garbage: int = 0
    restarts: int = 0


class ReorderBuffer:
    """One sender's packets. Call `push` as they come, and `tick` when all that came has
    been pushed, at `deadline_s` at the latest: only `tick` lets time pass, so that a
    packet read late, in the burst behind a stall, still finds its place.
    """

    def __init__(self, *, hold_s: float = HOLD_S, most: int = HOLD_MOST) -> None:
        self.counts = Counts()
        self._hold_s = hold_s
        self._most = most
        self._held: dict[int, Ordered] = {}  # in the order they arrived
        self._next: int | None = None  # None: the sender's first is not yet known
        self._raw: RtpPacket | None = None  # the furthest packet, as it came
        self._furthest = (0, 0)  # its unwrapped sequence and timestamp
        self._missing: deque[int] = deque(maxlen=REMEMBERED)
        self._suspect: RtpPacket | None = None
        self._retired: set[int] = set()
        self._restarting = False

    @property
    def deadline_s(self) -> float | None:
        """When `tick` will release something; None while nothing is held."""
        for oldest in self._held.values():
            return oldest.arrival_s + self._hold_s
        return None

    def push(self, packet: RtpPacket) -> list[Ordered]:
        """The packets whose turn has come."""
        if self._raw is None:
            self._begin(packet, (packet.sequence, packet.timestamp))
            return []
        if packet.ssrc != self._raw.ssrc:
            if packet.ssrc in self._retired:
                self.counts.late += 1
                return []
            return self._restart(packet)
        steps = _signed(packet.sequence - self._raw.sequence, bits=16)
        ticks = _signed(packet.timestamp - self._raw.timestamp, bits=32)
        if not self._plausible(packet, steps, ticks):
            return self._doubt(packet)
        return self._accept(packet, steps, ticks)

    def tick(self, now_s: float) -> list[Ordered]:
        """What must wait no longer."""
        if self._suspect and now_s >= self._suspect.arrival_s + self._hold_s:
            self._suspect = None
            self.counts.garbage += 1
        released: list[Ordered] = []
        while (deadline := self.deadline_s) is not None and deadline <= now_s:
            released += self._give_up()
        return released

    def flush(self) -> list[Ordered]:
        """All that is held: the stream has ended."""
        released: list[Ordered] = []
        while self._held:
            released += self._give_up()
        return released

    def _plausible(self, packet: RtpPacket, steps: int, ticks: int) -> bool:
        assert self._raw is not None
        elapsed = max(packet.arrival_s - self._raw.arrival_s, 0.0) + SLACK_S
        if steps > 0:
            furthest = elapsed * TIMELINE_RATE * RATE_SLACK
            return steps <= elapsed * DENSEST and 0 < ticks <= furthest
        if steps == 0:
            return ticks == 0
        return steps >= -MISORDER and -SLACK_S * TIMELINE_RATE <= ticks < 0

    def _doubt(self, packet: RtpPacket) -> list[Ordered]:
        """Numbers from nowhere: garbage, unless a second packet agrees with them."""
        first, self._suspect = self._suspect, packet
        if first is None:
            return []
        steps = _signed(packet.sequence - first.sequence, bits=16)
        ticks = _signed(packet.timestamp - first.timestamp, bits=32)
        near = 0 < abs(steps) <= self._most and abs(ticks) <= SLACK_S * TIMELINE_RATE
        if not near or (steps > 0) != (ticks > 0):
            self.counts.garbage += 1
            return []
        self._suspect = None
        return self._restart(first) + self._accept(packet, steps, ticks)

    def _restart(self, packet: RtpPacket) -> list[Ordered]:
        """The sender began anew: its numbers go on rising here, with room between."""
        assert self._raw is not None
        released = self.flush()
        self.counts.restarts += 1
        self._restarting = True
        self._missing.clear()
        if packet.ssrc != self._raw.ssrc:
            self._retired.add(self._raw.ssrc)
        sequence, timestamp = self._furthest
        passed = round((packet.arrival_s - self._raw.arrival_s) * TIMELINE_RATE)
        self._begin(packet, (sequence + ROOM, timestamp + max(passed, 0) + ROOM))
        return released

    def _begin(self, packet: RtpPacket, numbers: tuple[int, int]) -> None:
        self._raw, self._furthest, self._next = packet, numbers, None
        self._held[numbers[0]] = Ordered(*numbers, packet.arrival_s, packet.payload)

    def _accept(self, packet: RtpPacket, steps: int, ticks: int) -> list[Ordered]:
        sequence = self._furthest[0] + steps
        timestamp = self._furthest[1] + ticks
        if steps > 0:
            self._raw, self._furthest = packet, (sequence, timestamp)
        if self._next is not None and sequence < self._next:
            self._refuse(sequence)
            return []
        if sequence in self._held:
            self.counts.duplicates += 1
            return []
        self._held[sequence] = Ordered(
            sequence, timestamp, packet.arrival_s, packet.payload
        )
        released = self._in_turn()
        return released + self._give_up() if len(self._held) > self._most else released

    def _refuse(self, sequence: int) -> None:
        if sequence in self._missing:
            self._missing.remove(sequence)
            self.counts.late += 1
        else:
            self.counts.duplicates += 1

    def _give_up(self) -> list[Ordered]:
        """Wait no longer for what is missing before the first that is held."""
        first = min(self._held)
        lost = 0 if self._next is None else first - self._next
        self._missing.extend(range(first - min(lost, REMEMBERED), first))
        self.counts.lost += lost
        self._next = first
        return self._in_turn(lost=lost)

    def _in_turn(self, *, lost: int = 0) -> list[Ordered]:
        released: list[Ordered] = []
        while self._next is not None and (found := self._held.pop(self._next, None)):
            if lost or self._restarting:
                found = Ordered(
                    found.sequence,
                    found.timestamp,
                    found.arrival_s,
                    found.payload,
                    lost,
                    self._restarting,
                )
                lost, self._restarting = 0, False
            released.append(found)
            self._next += 1
        return released


def _signed(difference: int, *, bits: int) -> int:
    """The shorter way round between two numbers that wrap."""
    half = 1 << (bits - 1)
    return (difference + half) % (1 << bits) - half
