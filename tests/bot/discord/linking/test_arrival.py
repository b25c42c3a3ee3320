"""When a datagram came: the kernel's word, wherever it says something."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest

from bot.discord.linking import arrival
from bot.discord.linking.arrival import Arrivals

CAME_S, NOW_S = 500.0, 1_000.0
LATE_S = 5.0


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """What reads, without waiting, and what sends to it."""
    near, far = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    with near, far:
        near.bind(("127.0.0.1", 0))
        near.setblocking(False)
        far.connect(near.getsockname())
        yield near, far


def test_what_is_read_late_came_when_it_came(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    near, far = pair
    arrival.stamp(near)
    before_s = time.monotonic()
    far.send(b"one")
    after_s = time.monotonic()
    assert arrival.IS_STAMPED, "only Linux tells"
    data, came_s = Arrivals(
        clock=lambda: time.monotonic() + LATE_S, wall=lambda: time.time() + LATE_S
    ).receive(near)
    assert data == b"one"
    assert before_s - 0.001 <= came_s <= after_s + 0.01


def test_an_empty_socket_says_so(pair: tuple[socket.socket, socket.socket]) -> None:
    near, _ = pair
    with pytest.raises(BlockingIOError):
        Arrivals().receive(near)


class Told:
    """A socket that tells this with its datagram."""

    def __init__(self, *notes: tuple[int, int, bytes]) -> None:
        self.notes = list(notes)

    def recvmsg(self, *_: int) -> tuple[bytes, list[tuple[int, int, bytes]], int, None]:
        return b"one", self.notes, 0, None


def stamped(at_s: float) -> tuple[int, int, bytes]:
    seconds, part = divmod(at_s, 1)
    stamp = struct.pack("@qq", int(seconds), round(part * 1e9))
    return socket.SOL_SOCKET, arrival.SO_TIMESTAMPNS, stamp


@pytest.mark.parametrize(
    ("notes", "came_s"),
    [
        ([stamped(CAME_S - 0.25)], NOW_S - 0.25),
        ([stamped(CAME_S - 3600)], NOW_S),  # the clock was set forward meanwhile
        ([stamped(CAME_S + 0.5)], NOW_S),  # and back
        ([], NOW_S),
        ([(socket.SOL_SOCKET, 29, bytes(16))], NOW_S),  # something else
    ],
    ids=["stamped", "forward", "back", "nothing", "else"],
)
def test_a_stamp_counts_where_it_can_be_true(notes: Any, came_s: float) -> None:
    told: Any = Told(*notes)
    found = Arrivals(clock=lambda: NOW_S, wall=lambda: CAME_S).receive(told)
    assert found == (b"one", pytest.approx(came_s))


class Clocks:
    """One that is never set, and the time of day."""

    def __init__(self) -> None:
        self.now_s, self.apart_s = NOW_S, CAME_S - NOW_S

    def wall(self) -> float:
        return self.now_s + self.apart_s

    def clock(self) -> float:
        return self.now_s


@pytest.mark.parametrize("step_s", [2.5, -2.5, 0.02])
def test_what_waited_while_the_clock_was_set_came_when_it_was_read(
    step_s: float,
) -> None:
    clocks = Clocks()
    arrivals = Arrivals(clock=clocks.clock, wall=clocks.wall)
    told: Any = Told(stamped(clocks.wall()))  # two of them wait
    clocks.apart_s += step_s
    clocks.now_s += 0.005
    for _ in range(2):
        assert arrivals.receive(told)[1] == clocks.now_s
    clocks.now_s += 1.0
    told.notes = [stamped(clocks.wall() - 0.5)]
    assert arrivals.receive(told)[1] == clocks.now_s, "there may be more of them"
    clocks.now_s += 10.0
    told.notes = [stamped(clocks.wall() - 0.5)]
    assert arrivals.receive(told)[1] == pytest.approx(clocks.now_s - 0.5)


def test_a_thread_that_lost_the_processor_has_not_seen_a_clock_set() -> None:
    clocks = Clocks()
    rests = iter([0.0, 0.0, 0.0, 0.02, 0.0, 0.0, 0.0])

    def wall() -> float:
        told_s = clocks.wall()
        clocks.now_s += next(rests)  # until it reads the other clock
        return told_s

    arrivals = Arrivals(clock=clocks.clock, wall=wall)
    for _ in range(4):
        told: Any = Told(stamped(clocks.wall() - 0.25))
        expected_s = clocks.now_s - 0.25
        assert arrivals.receive(told)[1] == pytest.approx(expected_s, abs=0.03)
