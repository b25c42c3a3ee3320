"""The pacer, on a clock of its own: one frame for each line every 20 ms, always."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from bot.phone import orders
from bot.phone.orders import END, HUSH, HUSHED, PACE, SAY, USE
from bot.phone.pacer import FRAME_S, SLOT_S, Pacer

SILENCE = b"\x10\x01\x40" + bytes(320)
WIDE = b"\x12\x02\x80" + bytes(640)


@dataclass
class World:
    """A pacer, time, and what each line's other end hears, and when."""

    pacer: Pacer = field(default_factory=Pacer)
    now: float = 100.0
    heard: dict[int, list[tuple[float, bytes]]] = field(default_factory=dict)

    def add(self, line: int) -> None:
        self.heard[line] = []
        end = End(self, self.heard[line])
        self.pacer.obey(orders.order(PACE, line, SILENCE), end, now=self.now)

    def order(self, kind: int, line: int, payload: bytes = b"") -> None:
        self.pacer.obey(orders.order(kind, line, payload), None, now=self.now)

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while (wait_s := self.pacer.due_s(self.now)) is not None and self.now < until:
            self.now += wait_s
            self.pacer.serve(self.now)

    def told(self) -> list[tuple[int, int, int]]:
        """Who was served, since it was last asked."""
        found = [one for data in self.pacer.told for one in orders.read_round(data)[1]]
        self.pacer.told.clear()
        return found


@dataclass
class End:
    world: World
    heard: list[tuple[float, bytes]]

    def send(self, data: bytes, /) -> int:
        self.heard.append((self.world.now, data))
        return len(data)

    def close(self) -> None:
        self.heard.append((self.world.now, b""))


@pytest.fixture
def world() -> World:
    return World()


def test_frames_keep_their_deadlines(world: World) -> None:
    for line in range(8):
        world.add(line)
    world.run(2.0)
    begins = set()
    for heard in world.heard.values():
        begun = heard[0][0]
        begins.add(round(begun, 4))
        for number, (at, _) in enumerate(heard):
            assert at == pytest.approx(begun + number * FRAME_S, abs=1e-6)
    assert len(begins) == 4, "in four groups"


@pytest.mark.parametrize("stall_s", [0.05, 0.3, 2.0])
def test_after_a_stall_frames_are_skipped_and_none_is_sent_twice(
    world: World, stall_s: float
) -> None:
    for line in range(4):
        world.add(line)
    world.run(0.5)
    world.now += stall_s
    world.run(2.5)
    served = world.told()
    for line, heard in world.heard.items():
        skips = [skipped for number, _, skipped in served if number == line]
        assert len(skips) == len(heard)
        begun, count = heard[0][0], 0
        for (at, _), skipped in zip(heard, skips, strict=True):
            count += skipped + 1
            due = begun + (count - 1) * FRAME_S
            assert at - due < 2 * FRAME_S, "never more than two behind"
            assert due - at < FRAME_S, "never ahead by a frame"


def test_it_rests_without_lines_and_begins_again(world: World) -> None:
    for line in (1, 2):
        assert world.pacer.due_s(world.now) is None
        world.add(line)
        world.run(0.1)
        assert len(world.heard[line]) >= 5
        world.order(END, line)
        world.now += 100


def test_orders_change_what_is_sent_from_the_next_frame_on(world: World) -> None:
    world.add(7)
    world.order(SAY, 7, b"\x01" * 640)
    world.run(SLOT_S)
    world.order(HUSH, 7)
    world.run(FRAME_S)
    world.order(USE, 7, WIDE)
    world.run(FRAME_S)
    world.order(END, 7, b"\x00\x00\x00")
    sent = [data for _, data in world.heard[7]]
    assert sent == [SILENCE[:3] + b"\x01" * 320, SILENCE, WIDE, b"\x00\x00\x00", b""]


def test_it_tells_what_went_out_before_it_hushed(world: World) -> None:
    world.add(7)
    world.order(SAY, 7, b"\x01" * 400)
    world.run(SLOT_S)
    world.order(HUSH, 7)
    world.order(HUSH, 8)  # whoever is not there is quiet
    first, second, third = world.pacer.told
    assert list(orders.read_round(first)[1]) == [(7, 320, 0)]
    assert orders.read_order(second) == (HUSHED, 7, b"")
    assert orders.read_order(third) == (HUSHED, 8, b"")


def test_orders_for_lines_that_are_gone_are_nothing(world: World) -> None:
    for kind in (SAY, USE, END):
        world.order(kind, 3, b"\x00\x00\x00")
    assert not world.pacer.told


def test_a_round_of_more_than_a_datagram_holds_is_told_in_several() -> None:
    served = [(n, 320, 0) for n in range(20_000)]
    parts = list(orders.rounds(12.5, served))
    assert len(parts) > 1
    assert all(len(part) <= orders.LARGEST for part in parts)
    assert [one for part in parts for one in orders.read_round(part)[1]] == served
    assert {orders.read_round(part)[0] for part in parts} == {12.5}
