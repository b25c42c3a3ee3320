"""Reordering: whatever the network does to the packets, their numbers rise."""

from __future__ import annotations

import pytest

from sessions.audio.reorder import HOLD_S, Ordered, ReorderBuffer
from sessions.audio.unwrap import RtpPacket

PACKET = 960


def packet(number: int, *, at: float | None = None, base: int = 1000) -> RtpPacket:
    """The packet with this number, sent 20 ms after the one before."""
    arrival_s = number * 0.02 if at is None else at
    timestamp = (base * 77 + number * PACKET) % 2**32
    return RtpPacket((base + number) % 2**16, timestamp, arrival_s, bytes([number]))


def feed(buffer: ReorderBuffer, *packets: RtpPacket) -> list[Ordered]:
    """Read these, letting time pass after each, and then all of it."""
    out: list[Ordered] = []
    for one in packets:
        out += buffer.push(one)
        out += buffer.tick(one.arrival_s)
    return out + buffer.tick(1e6)


def numbers(ordered: list[Ordered]) -> list[int]:
    return [o.payload[0] for o in ordered]


def test_packets_in_order_pass() -> None:
    buffer = ReorderBuffer()
    assert numbers(feed(buffer, *map(packet, range(20)))) == list(range(20))
    assert buffer.counts.lost == 0


@pytest.mark.parametrize("base", [65_530, 1000])
def test_numbers_rise_through_wraparound(base: int) -> None:
    start = 2**32 - 5 * PACKET
    sent = [
        RtpPacket((base + n) % 2**16, (start + n * PACKET) % 2**32, n * 0.02)
        for n in range(20)
    ]
    out = feed(ReorderBuffer(), *sent)
    assert [o.sequence - out[0].sequence for o in out] == list(range(20))
    assert [o.timestamp - start for o in out] == [n * PACKET for n in range(20)]


def test_a_packet_overtaken_by_two_finds_its_place() -> None:
    buffer = ReorderBuffer()
    order = [0, 1, 2, 3, 4, 6, 7, 5, 8]
    sent = [packet(n, at=i * 0.02) for i, n in enumerate(order)]
    assert numbers(feed(buffer, *sent)) == list(range(9))
    assert buffer.counts.lost == 0


def test_the_very_first_packet_may_be_overtaken() -> None:
    out = feed(ReorderBuffer(), packet(1, at=0.0), packet(0, at=0.03))
    assert numbers(out) == [0, 1]


def test_duplicates_are_dropped() -> None:
    buffer = ReorderBuffer()
    sent = [packet(n, at=n * 0.02) for n in range(9)]
    assert numbers(feed(buffer, *sent, packet(3, at=0.2), packet(8, at=0.2))) == [
        *range(9)
    ]
    assert buffer.counts.duplicates == 2


def test_a_lost_packet_is_waited_for_until_the_bound_and_named() -> None:
    buffer = ReorderBuffer()
    feed(buffer, packet(0))
    assert buffer.push(packet(3, at=1.0)) == []
    assert buffer.deadline_s == pytest.approx(1.0 + HOLD_S)
    assert buffer.tick(1.0 + HOLD_S - 0.001) == []
    (found,) = buffer.tick(1.0 + HOLD_S)
    assert (found.payload[0], found.lost) == (3, 2)
    assert buffer.counts.lost == 2


def test_a_packet_within_the_bound_is_kept_and_one_beyond_it_counted() -> None:
    buffer = ReorderBuffer()
    feed(buffer, packet(0))
    buffer.push(packet(2, at=1.0))
    buffer.tick(1.0 + HOLD_S * 0.9)
    assert numbers(buffer.push(packet(1, at=1.0 + HOLD_S * 0.9))) == [1, 2]
    buffer.push(packet(4, at=2.0))
    buffer.tick(2.0 + HOLD_S)
    assert buffer.push(packet(3, at=2.0 + HOLD_S)) == []
    assert (buffer.counts.lost, buffer.counts.late) == (1, 1)


def test_a_packet_read_late_behind_a_stall_still_finds_its_place() -> None:
    buffer = ReorderBuffer()
    feed(buffer, packet(0))
    buffer.push(packet(2, at=1.0))
    assert numbers(buffer.push(packet(1, at=1.9))) == [1, 2]


def test_a_burst_does_not_wait_for_what_was_lost_in_it() -> None:
    buffer = ReorderBuffer(most=16)
    feed(buffer, packet(0))
    burst = [packet(n, at=1.0) for n in range(2, 19)]
    assert numbers([o for p in burst for o in buffer.push(p)]) == list(range(2, 19))


def test_a_sender_that_starts_anew_goes_on_rising() -> None:
    buffer = ReorderBuffer()
    first = [packet(n) for n in range(5)]
    again = [packet(n, at=n * 0.02, base=40_000) for n in range(50, 55)]
    out = feed(buffer, *first, *again)
    assert numbers(out) == [*range(5), *range(50, 55)]
    assert [o.restarted for o in out] == [False] * 5 + [True] + [False] * 4
    rising = [(o.sequence, o.timestamp) for o in out]
    assert rising == sorted(set(rising))
    assert buffer.counts.restarts == 1


def test_a_new_source_is_believed_at_once_and_the_old_one_no_more() -> None:
    buffer = ReorderBuffer()
    feed(buffer, packet(0))
    new = RtpPacket(7, 7, 1.0, b"\x09", ssrc=5)
    assert numbers(feed(buffer, new, packet(1, at=1.01))) == [9]
    assert buffer.counts.late == 1


def test_one_packet_from_nowhere_is_garbage() -> None:
    buffer = ReorderBuffer()
    sent = [packet(n) for n in range(10)]
    sent.insert(5, packet(99, at=0.1, base=30_000))
    assert numbers(feed(buffer, *sent)) == list(range(10))
    assert buffer.counts.garbage == 1


def test_a_timestamp_from_nowhere_is_garbage() -> None:
    buffer = ReorderBuffer()
    sent = [packet(n) for n in range(10)]
    sent[5] = RtpPacket(sent[5].sequence, 2**31, sent[5].arrival_s)
    assert numbers(feed(buffer, *sent)) == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert (buffer.counts.garbage, buffer.counts.lost) == (1, 1)


def test_a_long_silence_is_no_restart() -> None:
    buffer = ReorderBuffer()
    first = packet(0)
    later = RtpPacket(first.sequence + 1, first.timestamp + 48_000 * 3600, 3600.0)
    out = feed(buffer, first, later)
    assert out[1].timestamp - out[0].timestamp == 48_000 * 3600
    assert not out[1].restarted
