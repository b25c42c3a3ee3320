"""Standstill: did a sender's clock stop in silence, or was its sound held up?

Both look alike at first: packets come later than their timestamps say. What was held up
(a stall, a burst) catches up with time, or came all at once; what follows a clock that
stood still goes on at its usual pace. Judges runs of packets; moves nothing. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from sessions.audio.drift import samples
from sessions.audio.stamped import Stamped

STOPPED = samples(100)
"""A delay that grew by more from one packet to the next is looked into. Jitter of 60 ms
does not look like it."""
LATE = samples(40)
"""A delay that comes back to this above the floor was a stall."""
SILENT = 10.0
"""Packets of silence are digital silence once decoded, or nearly (rms, int16)."""
LATELY = samples(250)
BURST_PACE = 1.5
"""Packets that still come this much faster than time are a burst: it is waited for."""
AT_ONCE = samples(10)
"""Packets that came within this, or four times faster than they were sent, were held
up together."""
STALL_MAX = samples(1000)
"""A clock that is this far behind time stood still: few stalls are longer."""
STALL_RARE = samples(5000)
"""The same, of a sender whose clock was seen to run on in silence."""


@dataclass(frozen=True, slots=True)
class Timed:
    """A packet in samples at 48 kHz. `offset` is its arrival minus its own end: where
    timestamp 0 stands on the timeline, if it was not delayed."""

    packet: Stamped
    arrival: int
    offset: int

    @property
    def silent(self) -> bool:
        return self.packet.rms <= SILENT


def telling(run: list[Timed]) -> list[int]:
    """The offsets that tell something: of packets that came at once, the least."""
    offsets: list[int] = []
    before = -AT_ONCE
    for timed in sorted(run, key=lambda h: h.arrival):
        if timed.arrival - before < AT_ONCE // 4:
            offsets[-1] = min(offsets[-1], timed.offset)
        else:
            offsets.append(timed.offset)
        before = timed.arrival
    return offsets


def bursting(run: list[Timed], now: int) -> bool:
    """Whether these are still coming faster than time passes."""
    lately = [h for h in run if h.arrival > now - LATELY]
    if not lately or len(lately) == len(run):
        return False
    sent = lately[-1].packet.timestamp - lately[0].packet.timestamp
    return sent > BURST_PACE * LATELY


def stood_still(run: list[Timed], last: Timed, *, runs_on: bool) -> bool:
    """Whether the sender's clock stopped between `last` and these, which came late. If
    they came at once, and not very late, they are rather what a stall held up."""
    if not _at_once(run):
        return True
    return run[0].offset - last.offset > (STALL_RARE if runs_on else STALL_MAX)


def end_of_spurt(run: list[Timed], last: Timed) -> int:
    """How many of these are left of the spurt before, held up by a stall. A sender ends
    one with packets of silence and begins one with sound: between them its clock stood
    still. What came in its own time is no such end, but a pause between words."""
    if last.silent and not run[0].silent:
        return 0
    for i in range(1, len(run)):
        if run[i - 1].silent and not run[i].silent:
            return i if _at_once(run[:i]) else 0
    return 0


def _at_once(run: list[Timed]) -> bool:
    arrivals = [h.arrival for h in run]
    sent = run[-1].packet.timestamp - run[0].packet.timestamp
    return max(arrivals) - min(arrivals) <= max(AT_ONCE, sent // 4)
