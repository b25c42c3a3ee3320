"""A lane: whole frames, what is said in order, and nothing for who takes nothing."""

from __future__ import annotations

import pytest

from bot.phone.lane import LAST_TRIES, Lane
from bot.phone.orders import UNSENT

SILENCE = b"\x10\x01\x40" + bytes(320)
WIDE = b"\x12\x02\x80" + bytes(640)
GOODBYE = b"\x00\x00\x00"


class Wire:
    """Takes `room` bytes."""

    def __init__(self) -> None:
        self.room = 1 << 30
        self.got = b""
        self.is_gone = self.is_closed = False

    def send(self, data: bytes, /) -> int:
        if self.is_gone:
            raise BrokenPipeError
        if not self.room:
            raise BlockingIOError
        taken = data[: self.room]
        self.room -= len(taken)
        self.got += taken
        return len(taken)

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def lane(wire: Wire) -> Lane:
    return Lane(wire, SILENCE)


def test_where_nothing_is_said_there_is_silence(lane: Lane, wire: Wire) -> None:
    assert [lane.serve(), lane.serve()] == [0, 0]
    assert wire.got == SILENCE * 2


def test_what_is_said_goes_out_whole_and_ends_in_silence(
    lane: Lane, wire: Wire
) -> None:
    lane.say(b"\x01" * 400)
    lane.say(b"\x02" * 200)
    assert [lane.serve() for _ in range(3)] == [320, 280, 0]
    first, second = b"\x01" * 320, b"\x01" * 80 + b"\x02" * 200 + bytes(40)
    head = SILENCE[:3]
    assert wire.got == head + first + head + second + SILENCE


def test_hushed_it_is_silent_at_once(lane: Lane, wire: Wire) -> None:
    lane.say(b"\x01" * 3_200)
    lane.serve()
    lane.hush()
    assert lane.serve() == 0
    assert wire.got.endswith(SILENCE)


def test_it_speaks_at_the_rate_it_is_told(lane: Lane, wire: Wire) -> None:
    lane.use(WIDE)
    lane.say(b"\x01" * 700)
    assert [lane.serve(), lane.serve()] == [640, 60]
    assert wire.got == WIDE[:3] + b"\x01" * 640 + WIDE[:3] + b"\x01" * 60 + bytes(580)


def test_who_takes_nothing_goes_without_and_hears_what_is_new_later(
    lane: Lane, wire: Wire
) -> None:
    lane.say(b"\x01" * 640)
    wire.room = 0
    assert [lane.serve() for _ in range(3)] == [UNSENT] * 3
    wire.room = 1 << 30
    assert lane.serve() == 320


def test_a_frame_of_which_a_part_was_taken_is_ended_first(
    lane: Lane, wire: Wire
) -> None:
    lane.say(b"\x01" * 320 + b"\x02" * 320)
    wire.room = 100
    assert lane.serve() == 320
    assert lane.serve() == UNSENT
    wire.room = 1 << 30
    assert lane.serve() == 320
    assert wire.got == SILENCE[:3] + b"\x01" * 320 + SILENCE[:3] + b"\x02" * 320


def test_its_last_bytes_come_behind_a_whole_frame(lane: Lane, wire: Wire) -> None:
    lane.say(b"\x01" * 640)
    wire.room = 10
    lane.serve()
    lane.end(GOODBYE)
    assert not lane.is_over
    wire.room = 1 << 30
    assert lane.serve() is None
    assert wire.got == SILENCE[:3] + b"\x01" * 320 + GOODBYE
    assert lane.is_over
    assert wire.is_closed


def test_who_never_takes_the_end_is_left(lane: Lane, wire: Wire) -> None:
    wire.room = 0
    lane.end(GOODBYE)
    for _ in range(LAST_TRIES):
        lane.serve()
    assert wire.is_closed


def test_whoever_is_gone_costs_no_fault(lane: Lane, wire: Wire) -> None:
    wire.is_gone = True
    lane.say(b"\x01" * 320)
    assert [lane.serve(), lane.serve()] == [320, 0]
    lane.end(GOODBYE)
    assert wire.is_closed
