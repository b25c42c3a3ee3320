"""What waits is worked off in turns, and nobody waits for all of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest
from scene import Clock, eventually

from sessions.capture.turns import TURN_MAX_S, TURN_S, Inbox, Turns


class Call:
    """What it has heard, piece by piece: each takes its time."""

    def __init__(self, clock: Clock, *, waiting: int, each_s: float = 0.001) -> None:
        self.waiting = waiting
        self.done: list[int] = []
        """How much was done, turn by turn."""
        self._clock, self._each_s = clock, each_s

    def works(self, is_over: Callable[[], bool]) -> bool:
        before = self.waiting
        while self.waiting:
            self.waiting -= 1
            self._clock.passes(self._each_s)
            if is_over():
                break
        self.done.append(before - self.waiting)
        return self.waiting > 0


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_what_waits_is_done(clock: Clock) -> None:
    call = Call(clock, waiting=3, each_s=0.0003)
    Turns(clock).ask(call.works)
    await eventually(lambda: not call.waiting)
    assert call.done == [3]


async def test_the_loop_goes_on_between_two_turns(clock: Clock) -> None:
    call, left = Call(clock, waiting=100), []
    Turns(clock).ask(call.works)
    while call.waiting:
        await asyncio.sleep(0)
        left.append(call.waiting)
    assert len(set(left)) > 10
    assert call.done[0] * 0.001 <= TURN_S + 1e-9
    assert max(call.done) * 0.001 <= TURN_MAX_S + 0.001


async def test_who_has_much_has_longer_turns(clock: Clock) -> None:
    call = Call(clock, waiting=200)
    Turns(clock).ask(call.works)
    await eventually(lambda: not call.waiting)
    assert call.done[0] < call.done[-2]


async def test_a_pause_lets_many_be_taken_at_once(clock: Clock) -> None:
    took: list[int] = []

    def take(one: int) -> None:
        clock.passes(0.002)
        took.append(one)

    inbox = Inbox(take, of=Turns(clock))
    inbox.put(0)
    await eventually(lambda: bool(took))
    for one in range(1, 4):
        inbox.put(one)
        await asyncio.sleep(0)
    assert took == [0]  # there is a pause of 16 ms
    await eventually(lambda: len(took) == 4)


async def test_who_has_little_does_not_wait_for_who_has_much(clock: Clock) -> None:
    much, left = Call(clock, waiting=1000), []

    def little(_: Callable[[], bool]) -> bool:
        left.append(much.waiting)
        return False

    turns = Turns(clock)
    turns.ask(much.works)
    turns.ask(little)
    await eventually(lambda: not much.waiting)
    assert left[0] > 900


async def test_a_thread_may_ask(clock: Clock) -> None:
    call, turns = Call(clock, waiting=3), Turns(clock)
    asking = threading.Thread(target=turns.ask, args=(call.works,))
    asking.start()
    await eventually(lambda: not call.waiting)
    asking.join()


async def test_one_that_fails_costs_the_others_nothing(clock: Clock) -> None:
    def fails(_: Callable[[], bool]) -> bool:
        raise RuntimeError("this call is broken")

    told: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, what: told.append(str(what["exception"])))
    call, turns = Call(clock, waiting=3), Turns(clock)
    turns.ask(fails)
    turns.ask(call.works)
    await eventually(lambda: not call.waiting)
    assert told == ["this call is broken"]


async def test_what_waits_now_is_taken_in_turns_and_what_comes_later_later(
    clock: Clock,
) -> None:
    took: list[int] = []

    def take(one: int) -> None:
        clock.passes(0.001)
        took.append(one)

    inbox = Inbox(take, of=Turns(clock))
    for one in range(100):
        inbox.put(one)
    draining = asyncio.create_task(inbox.drained())
    seen = set()
    while not draining.done():
        await asyncio.sleep(0)
        inbox.put(-1)
        seen.add(len(took))
    assert [one for one in took if one >= 0] == list(range(100))
    assert len(seen) > 10, "the loop stood still"
    assert len(took) < 200
    await Inbox(take, of=Turns(clock)).drained()


async def test_what_cannot_be_taken_holds_nothing_up(clock: Clock) -> None:
    took: list[int] = []

    def take(one: int) -> None:
        if one == 3:
            raise ValueError(one)
        took.append(one)

    inbox = Inbox(take, of=Turns(clock))
    for one in range(10):
        inbox.put(one)
    await inbox.drained()
    assert took == [0, 1, 2, 4, 5, 6, 7, 8, 9]


async def test_whoever_hears_much_has_no_more_turns_than_the_others(
    clock: Clock,
) -> None:
    """What comes while it takes must not ask for a second place in the row."""
    took: list[str] = []
    turns = Turns(clock)

    def takes(name: str) -> Callable[[int], None]:
        def take(left: int) -> None:
            clock.passes(0.001)
            took.append(name)
            if left:
                loud.put(left - 1)

        return take

    loud = Inbox(takes("loud"), of=turns)
    quiet = Inbox(takes("quiet"), of=turns)
    for _ in range(50):
        loud.put(1_000)
        quiet.put(0)
    await eventually(lambda: took.count("quiet") == 50)
    before = took[: len(took) - took[::-1].index("quiet")]
    assert before.count("loud") <= 60


async def test_many_threads_ask_once(clock: Clock) -> None:
    asked: list[object] = []

    class Asked(Turns):
        def ask(self, work: Callable[[Callable[[], bool]], bool]) -> None:
            asked.append(work)

    took: list[int] = []
    inbox = Inbox(took.append, of=Asked(clock))

    def hears() -> None:
        for _ in range(500):
            inbox.put(1)

    hearing = [threading.Thread(target=hears) for _ in range(4)]
    for one in hearing:
        one.start()
    for one in hearing:
        one.join()
    assert len(asked) == 1
    inbox.take_all()
    assert len(took) == 2_000
