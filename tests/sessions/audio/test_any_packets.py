"""Whatever a network and a sender do to packets: each comes out once at the most, in
order, at a place of its own, and little is kept of them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import count, pairwise

from hypothesis import given
from hypothesis import strategies as st

from sessions.audio.reorder import HOLD_MOST, REMEMBERED, Ordered, ReorderBuffer
from sessions.audio.rtpclock import RtpClock
from sessions.audio.stamped import Placement, Stamped
from sessions.audio.unwrap import RtpPacket

PACKET = 960
SPOKEN_S = 0.02


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of one packet; `kind` says what the sender or somebody else does."""

    kind: str
    copies: int
    late_s: float
    silent_s: float
    number: int


steps = st.builds(
    Step,
    kind=st.sampled_from(
        ["good"] * 12 + ["garbage", "rejoins", "anew", "stands", "odd"]
    ),
    copies=st.sampled_from([1] * 12 + [0, 0, 2, 3]),
    late_s=st.sampled_from([0.0] * 6 + [0.01, 0.03, 0.05, 0.07, 0.3, 1.5, 8.0]),
    silent_s=st.sampled_from([0.0] * 12 + [0.02, 0.3, 2.0, 20.0, 4000.0]),
    number=st.integers(0, 2**32 - 1),
)
sane = steps.filter(lambda step: step.kind not in ("garbage", "anew"))
scripts = st.lists(steps, max_size=120)
first = st.sampled_from([0, 1, 1000, 2**15 - 3, 2**16 - 3])
stamp = st.sampled_from([0, 77, 2**31 - 2000, 2**32 - 2000])


def sent(script: list[Step], sequence: int, timestamp: int) -> list[RtpPacket]:
    """What arrives of it, in the order it arrives; each packet's payload is its own."""
    now_s, ssrc, arrived = 1.0, 1, list[RtpPacket]()
    for number, step in enumerate(script):
        now_s += SPOKEN_S + step.silent_s
        sequence += 1
        if step.kind != "stands":  # a clock that stands still in silence
            timestamp += round(step.silent_s * 48_000)
        timestamp += PACKET if step.kind != "odd" else 1 + step.number % 6000
        if step.kind == "anew":
            sequence, timestamp = step.number, step.number * 7
        if step.kind == "rejoins":
            ssrc, timestamp = step.number, step.number
        numbers = sequence, timestamp
        if step.kind == "garbage":
            numbers = step.number, step.number * 31
        for copy in range(step.copies):
            arrival_s = now_s + step.late_s * (1 + copy)
            payload = struct.pack("<I", number)
            arrived.append(
                RtpPacket(
                    numbers[0] % 2**16, numbers[1] % 2**32, arrival_s, payload, ssrc
                )
            )
    return sorted(arrived, key=lambda packet: packet.arrival_s)


def check_little_is_held(buffer: ReorderBuffer) -> None:
    assert len(buffer._held) <= HOLD_MOST + 1
    assert len(buffer._missing) <= REMEMBERED
    assert len(buffer._retired) <= REMEMBERED


def ordered(buffer: ReorderBuffer, packets: list[RtpPacket]) -> list[Ordered]:
    out: list[Ordered] = []
    for packet in packets:
        out += buffer.push(packet)
        check_little_is_held(buffer)
        out += buffer.tick(packet.arrival_s)
    return out + buffer.flush()


@given(st.one_of(scripts, st.lists(sane, max_size=120)), first, stamp)
def test_each_comes_out_once_and_in_order(
    script: list[Step], sequence: int, timestamp: int
) -> None:
    buffer, packets = ReorderBuffer(), sent(script, sequence, timestamp)
    out = ordered(buffer, packets)
    # Numbers from nowhere may agree with those of an old packet that comes again.
    is_sane = not {"garbage", "anew"} & {step.kind for step in script}
    payloads = {one.payload for one in out}
    assert len(payloads) == len(out) or not is_sane
    for before, after in pairwise(out):
        assert after.sequence > before.sequence
        assert after.timestamp > before.timestamp or not is_sane
        if not after.restarted:
            assert after.sequence - before.sequence == after.lost + 1
    counts = buffer.counts
    refused = counts.duplicates + counts.late + counts.garbage
    assert len(out) + refused + bool(buffer._suspect) == len(packets)


@given(scripts, first, stamp, st.lists(st.floats(0, 9000)))
def test_each_has_a_place_of_its_own(
    script: list[Step], sequence: int, timestamp: int, loud: list[float]
) -> None:
    clock, placed, numbers = RtpClock(begin=4800), list[Placement](), count()
    out = ordered(ReorderBuffer(), sent(script, sequence, timestamp))
    for one in out:
        number = next(numbers)
        rms = loud[number % len(loud)] if loud else 1000.0
        stamped = Stamped(
            number, one.timestamp, PACKET, one.arrival_s, rms, one.lost, one.restarted
        )
        placed += clock.place(stamped)
        if number % 7 == 0:
            placed += clock.tick(one.arrival_s + 0.01)
        if number % 31 == 30:
            clock.pause()
    placed += clock.flush()
    assert [one.packet.number for one in placed] == list(range(len(out)))
    end = 4800
    for placement in placed:
        assert placement.position >= end
        assert 0 <= placement.dropped < PACKET
        end = placement.end


def test_of_a_sender_who_is_always_somebody_else_little_is_kept() -> None:
    buffer = ReorderBuffer()
    for number in range(5 * REMEMBERED):
        buffer.push(RtpPacket(number % 2**16, 0, number * 0.02, ssrc=number))
        check_little_is_held(buffer)
    old = RtpPacket(7, 0, 1e6, ssrc=5 * REMEMBERED - 2)
    assert buffer.push(old) == []
    assert buffer.counts.late == 1
