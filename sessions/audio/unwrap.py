"""Unwrapper: RTP's numbers as integers that rise for as long as the track lives.

16-bit sequence numbers and 32-bit timestamps wrap, and start at random whenever the
sender does. Also says which packets' numbers can be true at all. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from sessions.audio.frames import TIMELINE_RATE

SLACK_S = 5.0
"""A sender's numbers run no faster than time, but for this: a stall, then a burst."""
RATE_SLACK = 1.001
DENSEST = 400
"""Packets per second: Opus packets are 2.5 ms long or longer."""
MISORDER = 128
"""A packet further behind its time than this belongs to no one (RFC 3550 says 100)."""
NEIGHBOURS = 16
"""Two packets this near to each other agree on where the sender starts anew."""
ROOM = 1 << 16
"""Numbers left free where a sender starts anew, for what overtakes its first packet."""


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """A packet as it was received: 16-bit `sequence`, 32-bit `timestamp` (48 kHz),
    `arrival_s` in seconds since the session's time zero."""

    sequence: int
    timestamp: int
    arrival_s: float
    payload: bytes = b""
    ssrc: int = 0


class Unwrapper:
    """Counts from the sender's furthest packet so far; `first` is the first."""

    def __init__(self, first: RtpPacket) -> None:
        self.furthest = first
        self.sequence, self.timestamp = first.sequence, first.timestamp

    def unwrap(self, packet: RtpPacket) -> tuple[int, int] | None:
        """The packet's sequence and timestamp, unwrapped; None if they cannot be true:
        from nowhere near, or further on than time allows."""
        steps, ticks = _apart(self.furthest, packet)
        if not self._plausible(packet, steps, ticks):
            return None
        numbers = self.sequence + steps, self.timestamp + ticks
        if steps > 0:
            self.furthest, (self.sequence, self.timestamp) = packet, numbers
        return numbers

    def restart(self, packet: RtpPacket) -> tuple[int, int]:
        """The sender began anew with this packet: its numbers go on from here, behind
        all that were, with the time that passed and room between."""
        passed = round((packet.arrival_s - self.furthest.arrival_s) * TIMELINE_RATE)
        self.furthest = packet
        self.sequence += ROOM
        self.timestamp += max(passed, 0) + ROOM
        return self.sequence, self.timestamp

    def _plausible(self, packet: RtpPacket, steps: int, ticks: int) -> bool:
        elapsed = max(packet.arrival_s - self.furthest.arrival_s, 0.0) + SLACK_S
        if steps > 0:
            most = elapsed * TIMELINE_RATE * RATE_SLACK
            return steps <= elapsed * DENSEST and 0 < ticks <= most
        if steps == 0:
            return ticks == 0
        return steps >= -MISORDER and -SLACK_S * TIMELINE_RATE <= ticks < 0


def agree(first: RtpPacket, second: RtpPacket) -> bool:
    """Whether two packets are neighbours in one stream."""
    steps, ticks = _apart(first, second)
    near = 0 < abs(steps) <= NEIGHBOURS and abs(ticks) <= SLACK_S * TIMELINE_RATE
    return near and ticks != 0 and (steps > 0) == (ticks > 0)


def _apart(first: RtpPacket, second: RtpPacket) -> tuple[int, int]:
    steps = _signed(second.sequence - first.sequence, bits=16)
    return steps, _signed(second.timestamp - first.timestamp, bits=32)


def _signed(difference: int, *, bits: int) -> int:
    """The shorter way round between two numbers that wrap."""
    half = 1 << (bits - 1)
    return (difference + half) % (1 << bits) - half
