"""The RtpClock: packets stand where they were spoken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from sessions.audio.quiet import QuietSteps
from sessions.audio.rtpclock import RtpClock
from sessions.audio.stamped import Placement, Stamped, holes

RATE = 48_000
PACKET = 960
LOUD, QUIET = 3000.0, 40.0


class Sender:
    """Speaks in packets of 20 ms. `stops`: its clock stands still in silence."""

    def __init__(self, *, stops: bool = False, jitter_s: float = 0.06) -> None:
        self.now_s, self.stops, self.jitter_s = 10.0, stops, jitter_s
        self.timestamp, self.number, self.lost = 123_456, 0, 0
        self.moments: list[float] = []
        self.rng = np.random.default_rng(3)
        self.restarted = False

    def speak(
        self, seconds: float, *, ppm: float = 0.0, rms: float = LOUD
    ) -> list[Stamped]:
        return list(self._speak(seconds, ppm=ppm, rms=rms))

    def _speak(self, seconds: float, *, ppm: float, rms: float) -> Iterator[Stamped]:
        for _ in range(round(seconds * 50)):
            moment = self.now_s
            self.now_s += PACKET / RATE / (1 + ppm / 1e6)
            arrival = self.now_s + self.rng.uniform(0, self.jitter_s)
            self.moments.append(moment)
            yield Stamped(
                self.number,
                self.timestamp,
                PACKET,
                arrival,
                rms,
                self.lost,
                self.restarted,
            )
            self.restarted, self.lost = False, 0
            self.number += 1
            self.timestamp += PACKET

    def is_silent(self, seconds: float) -> None:
        self.now_s += seconds
        self.timestamp += 0 if self.stops else round(seconds * RATE)

    def loses(self, packets: int) -> None:
        self.is_silent(packets * 0.02)
        self.lost = packets

    def rejoins(self) -> None:
        self.timestamp = 4_000_000_000
        self.restarted = True


def place(clock: RtpClock, packets: Iterable[Stamped]) -> list[Placement]:
    """All of them, in time, and what was held after it."""
    placed: list[Placement] = []
    for packet in packets:
        placed += clock.place(packet)
    return placed + clock.tick(1e6)


def stalled(packets: list[Stamped], begin: float, end: float) -> list[Stamped]:
    """The event loop stood still: what came then is read at its end."""
    return [
        Stamped(p.number, p.timestamp, p.samples, end, p.rms)
        if begin <= p.arrival_s < end
        else p
        for p in packets
    ]


def errors_ms(sender: Sender, placed: list[Placement]) -> list[float]:
    """How far each packet is from its moment; later is positive."""
    return [
        (p.position - p.dropped) / 48 - sender.moments[p.packet.number] * 1000
        for p in placed
    ]


def steps(placed: list[Placement]) -> list[int]:
    """Where positions do not go on as timestamps do, by how much."""
    moved = [p.position - p.packet.timestamp for p in placed]
    return [b - a for a, b in pairwise(moved) if a != b]


def test_a_stream_without_faults_is_exact_to_the_sample() -> None:
    sender = Sender(jitter_s=0.0)
    placed = place(RtpClock(), sender.speak(10))
    assert steps(placed) == []
    assert errors_ms(sender, placed) == pytest.approx([0.0] * 500, abs=0.02)


def test_jitter_moves_nothing_inside_speech() -> None:
    sender = Sender()
    placed = place(RtpClock(), sender.speak(10))
    assert steps(placed) == []
    assert max(map(abs, errors_ms(sender, placed))) < 10


@pytest.mark.parametrize("stops", [True, False])
def test_every_spurt_stands_in_its_place(stops: bool) -> None:
    sender, clock = Sender(stops=stops), RtpClock()
    placed: list[Placement] = []
    for silence in (0.3, 1.0, 0.5, 7.0, 30.0):
        placed += place(clock, sender.speak(2.0))
        sender.is_silent(silence)
    placed += place(clock, sender.speak(1.0))
    assert len(placed) == sender.number
    assert max(map(abs, errors_ms(sender, placed))) < 20


@pytest.mark.parametrize("stops", [True, False])
def test_a_stall_and_its_burst_are_no_silence(stops: bool) -> None:
    sender = Sender(stops=stops)
    packets = stalled(sender.speak(8), 14.0, 14.8)
    placed = place(RtpClock(), packets)
    assert steps(placed) == []
    assert len(placed) == 400


def test_a_stall_at_the_end_of_a_spurt_is_no_silence() -> None:
    sender, clock = Sender(stops=True), RtpClock()
    first = [*sender.speak(4), *sender.speak(0.1, rms=0.0)]
    sender.is_silent(0.6)
    packets = stalled(first + sender.speak(3), 13.7, 14.4)
    placed = place(clock, packets)
    assert max(map(abs, errors_ms(sender, placed))) < 20


def test_a_stream_that_begins_late_finds_its_place() -> None:
    sender = Sender()
    placed = place(RtpClock(), stalled(sender.speak(3), 10.0, 10.4))
    assert max(map(abs, errors_ms(sender, placed))) < 20


def test_what_was_lost_is_a_hole_and_silence_is_none() -> None:
    sender, clock = Sender(), RtpClock()
    packets = sender.speak(2)
    sender.loses(1)
    packets += sender.speak(1)
    sender.loses(5)
    packets += sender.speak(1)
    sender.is_silent(3)
    placed = place(clock, packets + sender.speak(1))
    ((position, length),) = holes(placed)
    assert length == 5 * PACKET
    assert position == pytest.approx(13.02 * RATE, abs=480)


def test_a_sender_that_rejoins_stands_by_its_arrival() -> None:
    sender, clock = Sender(), RtpClock()
    placed = place(clock, sender.speak(3))
    sender.is_silent(2)
    sender.rejoins()
    placed += place(clock, sender.speak(2))
    assert max(map(abs, errors_ms(sender, placed))) < 20


def test_a_speaking_stop_lets_a_short_silence_count() -> None:
    sender, clock = Sender(stops=True, jitter_s=0.02), RtpClock()
    placed = place(clock, sender.speak(3))
    clock.pause()
    sender.is_silent(0.09)
    placed += place(clock, sender.speak(2))
    assert max(map(abs, errors_ms(sender, placed))) < 20


@pytest.mark.parametrize("ppm", [300.0, -300.0])
def test_an_open_microphone_is_corrected_where_it_is_quiet(ppm: float) -> None:
    sender = Sender()
    packets: list[Stamped] = []
    for _ in range(10):
        packets += sender.speak(4, ppm=ppm)
        packets += sender.speak(1, ppm=ppm, rms=QUIET)
    placed = place(RtpClock(), packets)
    assert all(p.packet.rms == QUIET for p in placed if p.dropped)
    assert 0 < max(map(abs, steps(placed))) <= 3 * 48
    assert max(map(abs, errors_ms(sender, placed))) < 12


def test_a_pause_between_words_is_no_end_of_the_spurt_before() -> None:
    """The spurt's own end is lost, with the packets of silence a sender ends it by."""
    sender, clock = Sender(stops=True), RtpClock()
    placed = place(clock, sender.speak(3.0))
    sender.is_silent(3.4)
    sender.timestamp += 18 * PACKET
    sender.lost = 18
    spurt = [sender.speak(0.18), sender.speak(0.02, rms=1.0), sender.speak(1.0)]
    placed += place(clock, [packet for part in spurt for packet in part])
    assert max(map(abs, errors_ms(sender, placed))) < 20


def test_a_reader_that_waits_a_little_moves_no_spurt() -> None:
    """What comes without loss stays exact, though its stamps are not."""
    sender, clock = Sender(jitter_s=0.0), RtpClock()
    placed: list[Placement] = []
    for late_s in (0.0006, 0.0, 0.0003):
        spurt = sender.speak(0.7)
        placed += place(
            clock, [replace(p, arrival_s=p.arrival_s + late_s) for p in spurt]
        )
        sender.is_silent(1.0)
    assert steps(placed) == []


def test_a_consonant_is_not_quiet_enough_to_step_in() -> None:
    """Nobody fell silent in the last ten seconds: what is quietest is still speech."""
    quiet, at = QuietSteps(), 0
    steps = []
    for pause, levels in (
        (50, [LOUD] * 20 + [0.0] * 5),
        (0, [LOUD] * 600 + [30.0] * 4),
    ):
        quiet.begin(at)
        for rms in levels:
            at += PACKET
            steps.append(quiet.due(-900.0, at=at, rms=rms, length=PACKET))
        at += pause * RATE
    assert steps == [0] * 629
    assert quiet.due(-900.0, at=at, rms=0.0, length=PACKET) == 0


def test_positions_rise_and_never_overlap() -> None:
    sender, clock = Sender(stops=True), RtpClock(begin=490_000)
    placed: list[Placement] = []
    for silence in (0.25, 0.02, 0.4):
        placed += place(clock, sender.speak(1.0))
        sender.is_silent(silence)
        sender.rejoins()
    assert placed[0].position >= 490_000
    assert all(a.end <= b.position for a, b in pairwise(placed))


def test_a_concealed_packet_is_placed_and_tells_nothing() -> None:
    sender, clock = Sender(jitter_s=0.0), RtpClock()
    packets = sender.speak(1)
    lost = packets[30]
    packets[30] = Stamped(
        lost.number, lost.timestamp, PACKET, 0.0, LOUD, concealed=True
    )
    placed = place(clock, packets)
    assert steps(placed) == []
    assert errors_ms(sender, placed) == pytest.approx([0.0] * 50, abs=0.02)


def test_a_clock_made_in_the_middle_needs_only_time_zero() -> None:
    sender = Sender()
    placed = place(RtpClock(), sender.speak(3))
    sender.is_silent(4)
    placed += place(RtpClock(), sender.speak(3))
    assert max(map(abs, errors_ms(sender, placed))) < 20
