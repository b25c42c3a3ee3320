"""Bytes made in a thread: one piece ahead of nobody, and nothing left when they go."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator, Iterator

import pytest
from scene import eventually

from sessions import streaming
from sessions.streaming import AT_ONCE, BusyError, Flow


class Slow:
    """A generator that is watched: how far it went, and that it was closed."""

    def __init__(self, *, pieces: int = 3) -> None:
        self.made, self.closed, self.threads = 0, 0, set[int]()
        self.may_go = threading.Event()
        self.may_go.set()
        self.pieces = pieces

    def run(self) -> Generator[bytes, None, None]:
        try:
            for _ in range(self.pieces):
                self.may_go.wait(10)
                self.made += 1
                self.threads.add(threading.get_ident())
                yield b"x"
        finally:
            self.closed += 1


@pytest.fixture
def all_places_free() -> Iterator[None]:
    yield
    assert streaming._places._value == AT_ONCE


@pytest.mark.usefixtures("all_places_free")
async def test_no_piece_is_made_before_the_last_was_taken() -> None:
    slow = Slow(pieces=5)
    flow = Flow(slow.run())
    await flow.begin()
    for n in range(1, 6):
        assert slow.made == n
        assert await anext(flow) == b"x"
        await asyncio.sleep(0)
        assert slow.made == n
        if n < 5:
            # The next is asked for, and made off the loop.
            flow._first = await flow._made()
    assert threading.get_ident() not in slow.threads
    assert [piece async for piece in flow] == []
    assert slow.closed == 1


@pytest.mark.usefixtures("all_places_free")
async def test_who_hangs_up_ends_the_work_even_in_the_middle_of_a_piece() -> None:
    slow = Slow()
    flow = Flow(slow.run())
    await flow.begin()
    await anext(flow)
    slow.may_go.clear()
    reading = asyncio.ensure_future(anext(flow))
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait([reading])
    flow.close()  # as Django does, on the event loop: it must not wait
    slow.may_go.set()
    await eventually(lambda: slow.closed)
    assert slow.made <= 2


@pytest.mark.usefixtures("all_places_free")
async def test_a_response_that_nobody_read_or_closed_gives_its_place_back() -> None:
    flow = Flow(Slow().run())
    await flow.begin()
    del flow
    # The thread that made its first piece may still have it in its hand.
    await eventually(lambda: streaming._places._value == AT_ONCE)


@pytest.mark.usefixtures("all_places_free")
async def test_work_that_fails_gives_its_place_back() -> None:
    def fails() -> Generator[bytes, None, None]:
        yield b"x"
        raise OSError("a disk")

    flow = Flow(fails())
    await flow.begin()
    assert await anext(flow) == b"x"
    with pytest.raises(OSError, match="a disk"):
        await anext(flow)


@pytest.mark.usefixtures("all_places_free")
def test_there_are_only_so_many_places() -> None:
    flows = [Flow(Slow().run()) for _ in range(AT_ONCE)]
    with pytest.raises(BusyError):
        Flow(Slow().run())
    for flow in flows:
        flow.close()
        flow.close()  # twice is once
    Flow(Slow().run()).close()
