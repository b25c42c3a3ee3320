"""Turns: what the calls of one event loop have heard is taken in, a few milliseconds
at a time, one call after the other.

Everything else on the loop comes in between: what is said by us, heartbeats, commands,
the end of a call. However much sound waits, none of them waits for it. When all is
taken there is a pause, the longer the more it was: each of many calls has several
frames then, which cost little more than one.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

from sessions.background import PerLoop

log = structlog.get_logger(__name__)

TURN_S, TURN_MAX_S = 0.001, 0.005
"""A turn, and how long it gets where there was some left for a tenth of a second: what
goes on in between costs, too. Runs differ: at 180 calls on a core 99 of 100 frames are
answered within 24 to 33 ms, 29 to 38 where all turns are long, 16 to 24 where all are
short; then 200 members of Discord were taken in 30 s late, and 11 so."""
GROWTH = 20
"""A turn is this part of the time for which there was always some left."""
PAUSE, PAUSE_MAX_S = 8, 0.05
"""So many times as long as taking in took: at 150 calls it spares the loop four tenths
of its work, mostly."""
T = TypeVar("T")

Work = Callable[[Callable[[], bool]], bool]
"""Works until there is nothing more to do, or until what it is given says so; whether
there is more."""


class Turns:
    """Belongs to one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Work] = deque()
        self._is_woken = False
        self._busy_since = self._pause_until = clock()
        self._worked_s = 0.0  # since the last pause

    def ask(self, work: Work) -> None:
        """On any thread: work soon. Once is enough until it is called."""
        self._waiting.append(work)
        if not self._is_woken:  # two threads may both wake it: nothing is lost by that
            self._is_woken = True
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        pause_s = self._pause_until - self._clock()
        if pause_s > 0:
            self._loop.call_later(pause_s, self._begin)
        else:
            self._begin()

    def _begin(self) -> None:
        self._busy_since = self._clock()
        self._turn()

    def _turn(self) -> None:
        began = self._clock()
        turn_s = min(max((began - self._busy_since) / GROWTH, TURN_S), TURN_MAX_S)
        try:
            self._work(lambda: self._clock() >= began + turn_s)
        finally:  # one call's fault is not the others'
            now = self._clock()
            self._worked_s += now - began
            self._is_woken = False  # before looking: what comes now wakes it again
            if self._waiting:
                self._is_woken = True
                self._loop.call_soon(self._turn)
            else:
                self._pause_until = now + min(PAUSE * self._worked_s, PAUSE_MAX_S)
                self._worked_s = 0.0

    def _work(self, is_over: Callable[[], bool]) -> None:
        while self._waiting:
            work = self._waiting.popleft()
            if work(is_over):
                self._waiting.append(work)
            if is_over():
                return


_turns = PerLoop(Turns)


def turns() -> Turns:
    """Those of the running event loop."""
    return _turns.here()


class Inbox(Generic[T]):
    """What one call has heard and nobody has taken yet: taken in turns of its loop."""

    def __init__(self, take: Callable[[T], None], *, of: Turns) -> None:
        """`take` one of them, on the loop; it may `pop` more."""
        self._take = take
        self._turns = of
        self._waiting: deque[T] = deque()
        self._asking = threading.Lock()
        self._has_asked = False
        self._taken = 0

    def put(self, one: T) -> None:
        """On any thread: asks for a turn once for many. Who asked twice would have two
        of each round, and the others none."""
        with self._asking:
            self._waiting.append(one)
            has_asked, self._has_asked = self._has_asked, True
        if not has_asked:
            self._turns.ask(self._take_some)

    @property
    def next(self) -> T | None:
        """The oldest that waits."""
        return self._waiting[0] if self._waiting else None

    def pop(self) -> T:
        self._taken += 1
        return self._waiting.popleft()

    def take_all(self) -> None:
        """Now, on the loop, which stands still for it."""
        while self._waiting:
            self._take_one()

    async def drained(self) -> None:
        """Until what waits now has been taken: in turns, as always."""
        last = self._taken + len(self._waiting)
        is_done = asyncio.Event()

        def look(_: Callable[[], bool]) -> bool:
            if self._taken >= last:
                is_done.set()
            return not is_done.is_set()

        self._turns.ask(look)
        await is_done.wait()

    def _take_one(self) -> None:
        try:
            self._take(self.pop())
        except Exception:  # what comes behind it is still taken
            log.exception("capture.not_taken")

    def _take_some(self, is_over: Callable[[], bool]) -> bool:
        """What waits, until it is enough for now; whether some is left."""
        while self._waiting:
            self._take_one()
            if is_over():
                break
        with self._asking:
            self._has_asked = bool(self._waiting)
            return self._has_asked
