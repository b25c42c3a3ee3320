"""Stamped packets and their placements: what goes into an RtpClock and what comes out.

Sound itself does not: whoever journals or decodes it finds it again by its number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sessions.audio.drift import samples

HOLE = samples(40)
"""A longer hole is called one."""


@dataclass(frozen=True, slots=True)
class Stamped:
    """A packet's sound, to be placed. `number` is the caller's; `timestamp` (unwrapped,
    rising: reorder.py) and `samples` are at 48 kHz; `arrival_s` is in seconds since the
    session's time zero; `rms` is its loudness in int16 units. `lost` packets are
    missing before it. `restarted`: its timestamp is not related to the one before.
    `concealed`: made by the decoder for a lost packet; its arrival says nothing."""

    number: int
    timestamp: int
    samples: int
    arrival_s: float
    rms: float
    lost: int = 0
    restarted: bool = False
    concealed: bool = False


@dataclass(frozen=True, slots=True)
class Placement:
    """The packet stands at `position` (samples at 48 kHz since time zero), without its
    first `dropped` samples (drift, taken out)."""

    packet: Stamped
    position: int
    dropped: int = 0

    @property
    def end(self) -> int:
        """The position behind its last sample."""
        return self.position + self.packet.samples - self.dropped


def holes(placements: Iterable[Placement]) -> Iterator[tuple[int, int]]:
    """The loss map: (position, samples) of every hole above 40 ms left by packets that
    were sent and never came. Silence that nobody sent is no hole."""
    end: int | None = None
    for placement in placements:
        gap = 0 if end is None else placement.position - end
        if end is not None and placement.packet.lost and gap > HOLE:
            yield end, gap
        end = placement.end
