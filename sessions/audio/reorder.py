"""Reorder: RTP packets back in the order they were sent, each of them once.

Holds a packet whose predecessor is missing until that comes, or until a bound; says
what was lost. Decodes nothing, places nothing. Pure: time comes in with each packet and
with `tick`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from sessions.audio.unwrap import RtpPacket, Unwrapper, agree

HOLD_S = 0.08
"""How long a missing packet is waited for. At 60 ms of jitter and packets of 20 ms, one
comes at most 40 ms behind its successor."""
HOLD_MOST = 16
"""So many packets are held at most: a burst does not wait for what was lost in it."""
REMEMBERED = 512
"""Lost packets that are still known by number, to tell a late one from a duplicate; and
sources that a sender had before."""


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

    A new `ssrc` is believed at once, and the one before no more; new numbers under the
    same one when a second packet agrees with them.
    """

    def __init__(self, *, hold_s: float = HOLD_S, most: int = HOLD_MOST) -> None:
        self.counts = Counts()
        self._hold_s = hold_s
        self._most = most
        self._held: dict[int, Ordered] = {}  # in the order they arrived
        self._next: int | None = None  # None: the sender's first is not yet known
        self._numbers: Unwrapper | None = None
        self._missing: deque[int] = deque(maxlen=REMEMBERED)
        self._suspect: RtpPacket | None = None
        self._retired: deque[int] = deque(maxlen=REMEMBERED)
        self._restarting = False

    @property
    def deadline_s(self) -> float | None:
        """When `tick` will release something; None while nothing is held."""
        for oldest in self._held.values():
            return oldest.arrival_s + self._hold_s
        return None

    def push(self, packet: RtpPacket) -> list[Ordered]:
        """The packets whose turn has come."""
        if self._numbers is None:
            self._numbers = Unwrapper(packet)
            return self._hold(packet, (packet.sequence, packet.timestamp))
        if packet.ssrc != self._numbers.furthest.ssrc:
            if packet.ssrc in self._retired:
                self.counts.late += 1
                return []
            self._retired.append(self._numbers.furthest.ssrc)
            return self._restart(self._numbers, packet)
        numbers = self._numbers.unwrap(packet)
        if numbers is None:
            return self._doubt(self._numbers, packet)
        return self._hold(packet, numbers)

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

    def _doubt(self, numbers: Unwrapper, packet: RtpPacket) -> list[Ordered]:
        """Numbers from nowhere: garbage, unless a second packet agrees with them."""
        first, self._suspect = self._suspect, packet
        if first is None:
            return []
        if not agree(first, packet):
            self.counts.garbage += 1
            return []
        self._suspect = None
        return self._restart(numbers, first) + self.push(packet)

    def _restart(self, numbers: Unwrapper, packet: RtpPacket) -> list[Ordered]:
        released = self.flush()
        self.counts.restarts += 1
        self._restarting = True
        self._missing.clear()
        self._next = None
        return released + self._hold(packet, numbers.restart(packet))

    def _hold(self, packet: RtpPacket, numbers: tuple[int, int]) -> list[Ordered]:
        """Until its turn, which may be now."""
        sequence, _ = numbers
        if self._next is not None and sequence < self._next:
            self._refuse(sequence)
            return []
        if sequence in self._held:
            self.counts.duplicates += 1
            return []
        self._held[sequence] = Ordered(*numbers, packet.arrival_s, packet.payload)
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
                found = replace(found, lost=lost, restarted=self._restarting)
                lost, self._restarting = 0, False
            released.append(found)
            self._next += 1
        return released
