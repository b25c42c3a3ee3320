"""Many connections' datagrams, read on one thread."""

from __future__ import annotations

import fcntl
import queue
import resource
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import pytest
from structlog.testing import capture_logs

from bot.discord.linking import arrival
from bot.discord.linking.reader import AT_ONCE, Reading, SocketReader

WITHIN_S = 5.0
SELECT_MAX = 1024
"""`select` takes no descriptor from this on."""


@dataclass
class Pair:
    """A connection's socket, and what sends to it."""

    reading: Reading
    heard: queue.Queue[bytes] = field(default_factory=queue.Queue)

    def __post_init__(self) -> None:
        self.connect()
        self.reader = SocketReader(self, reading=self.reading)
        self.reader.register(self.heard.put)

    def connect(self) -> None:
        self.socket, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setblocking(False)

    def hears(self, data: bytes) -> None:
        self.far.send(data)
        assert self.heard.get(timeout=WITHIN_S) == data

    def is_through(self) -> None:
        """With what it is just reading."""
        until = time.monotonic() + WITHIN_S
        while self.reader._is_busy:
            assert time.monotonic() < until

    def close(self) -> None:
        self.reader.stop()
        self.socket.close()
        self.far.close()


class Line:
    """Connections, all of them closed behind a test."""

    def __init__(self) -> None:
        self.reading = Reading()
        self.pairs: list[Pair] = []

    def pair(self) -> Pair:
        self.pairs.append(Pair(self.reading))
        return self.pairs[-1]


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line()
    yield line
    for pair in line.pairs:
        pair.close()
    _ended(line.reading)


def _ended(reading: Reading) -> None:
    if (thread := reading._thread) is not None:
        thread.join(WITHIN_S)
    assert reading._thread is None


def test_all_are_read_by_one_thread(line: Line) -> None:
    threads = set()
    for number in range(5):
        pair = line.pair()
        pair.reader.register(lambda _: threads.add(threading.current_thread()))
        pair.reader.resume()
        pair.hears(b"%d" % number)
        pair.hears(b"again")
    assert len(threads) == 1


def test_nothing_is_read_before_it_is_asked_for_nor_while_it_rests(line: Line) -> None:
    pair, other = line.pair(), line.pair()
    other.reader.resume()
    pair.far.send(b"early")
    other.hears(b"something")
    pair.reader.resume()
    assert pair.heard.get(timeout=WITHIN_S) == b"early"
    pair.reader.pause()
    pair.is_through()
    pair.far.send(b"at rest")
    other.hears(b"something else")
    assert pair.heard.empty()


def test_what_was_stopped_is_dead_and_never_reads_again(line: Line) -> None:
    pair, other = line.pair(), line.pair()
    other.reader.resume()
    pair.reader.resume()
    pair.hears(b"hello")
    pair.reader.stop()
    pair.is_through()
    assert not pair.reader.is_alive()
    pair.reader.resume()
    pair.far.send(b"too late")
    other.hears(b"something")
    assert pair.heard.empty()


def test_a_new_socket_takes_the_place_of_the_one_before(line: Line) -> None:
    pair = line.pair()
    pair.reader.resume()
    before = pair.socket, pair.far
    pair.connect()
    pair.reader.resume()
    for one in before:
        one.close()
    pair.hears(b"here")


def test_a_socket_closed_unseen_does_not_stand_in_the_way_of_its_number(
    line: Line,
) -> None:
    first = line.pair()
    first.reader.resume()
    number = first.socket.fileno()
    first.socket.close()
    others = []  # lower numbers may be free, too
    while (second := line.pair()).socket.fileno() != number:
        others.append(second)
        assert len(others) < 20
    second.reader.resume()
    second.hears(b"hello")


def test_a_fault_of_one_listener_costs_no_other_its_packets(line: Line) -> None:
    def fails(_: bytes) -> None:
        raise ValueError("a fault")

    bad, good = line.pair(), line.pair()
    bad.reader._listeners = (fails, *bad.reader._listeners)
    for pair in (bad, good):
        pair.reader.resume()
    with capture_logs() as logs:
        bad.hears(b"one")
        good.hears(b"two")
    assert [line["event"] for line in logs] == ["discord.datagram_failed"]


@pytest.fixture
def _many_files() -> Iterator[None]:
    """This process may have more than `select` knows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, SELECT_MAX + 1), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("_many_files")
def test_a_connection_of_a_process_with_many_files_is_read(line: Line) -> None:
    pair = line.pair()
    high = fcntl.fcntl(pair.socket, fcntl.F_DUPFD, SELECT_MAX)
    pair.socket.close()
    pair.socket = socket.socket(fileno=high)
    pair.reader.resume()
    pair.hears(b"hello")


def test_what_came_while_nobody_read_is_all_read_in_order(line: Line) -> None:
    pair = line.pair()
    sent = [b"%d" % number for number in range(3 * AT_ONCE + 1)]
    threading.Thread(target=lambda: [pair.far.send(data) for data in sent]).start()
    pair.reader.resume()
    assert [pair.heard.get(timeout=WITHIN_S) for _ in sent] == sent


def test_a_listener_is_told_when_it_came(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = partial(  # five seconds later nobody had read it
        arrival.Arrivals,
        clock=lambda: time.monotonic() + 5,
        wall=lambda: time.time() + 5,
    )
    monkeypatch.setattr(arrival, "Arrivals", late)
    pair, came_s = line.pair(), queue.Queue[float]()
    near, far = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    for one in (pair.socket, pair.far):
        one.close()
    near.bind(("127.0.0.1", 0))
    near.setblocking(False)
    far.connect(near.getsockname())
    pair.socket, pair.far = near, far
    pair.reader.register(lambda _: came_s.put(pair.reader.came_s))
    arrival.stamp(near)
    before_s = time.monotonic()
    far.send(b"one")
    pair.reader.resume()
    assert came_s.get(timeout=WITHIN_S) - before_s < 0.04


def test_the_thread_ends_with_the_last_and_begins_anew(line: Line) -> None:
    for _ in range(2):
        pair = line.pair()
        pair.reader.resume()
        pair.hears(b"hello")
        pair.reader.stop()
        _ended(line.reading)
