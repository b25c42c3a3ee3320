"""Lag: how late the event loop of this process is, as whoever waits for it finds it.

A task that is due 50 times a second notes by how much it was late. What fell due while
the loop was away counts each time: one absence of 0.2 s is ten that waited, not one.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from sessions.background import cancel_and_wait, spawn

EVERY_S = 0.02
"""One frame of sound."""
KEPT_S = 60.0
KEPT = round(KEPT_S / EVERY_S)


@dataclass(frozen=True, slots=True)
class Lateness:
    """Of the last minute, in seconds; timers alone may cost 0.001 of it."""

    p50_s: float = 0.0
    p99_s: float = 0.0
    longest_s: float = 0.0


class Lag:
    """One event loop's."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._late: deque[float] = deque(maxlen=KEPT)
        self._due: float | None = None

    def wakes(self) -> float:
        """The loop is here: note what was due by now. Seconds until it is due again."""
        now = self._clock()
        due = now if self._due is None else max(self._due, now - KEPT_S)
        while due <= now:
            self._late.append(now - due)
            due += EVERY_S
        self._due = due
        return due - now

    def lateness(self) -> Lateness:
        if not self._late:
            return Lateness()
        late = sorted(self._late)
        return Lateness(_share(late, 0.5), _share(late, 0.99), late[-1])


def _share(rising: list[float], share: float) -> float:
    """What this share of them does not exceed."""
    return rising[math.ceil(share * len(rising)) - 1]


@contextlib.asynccontextmanager
async def lag_watched() -> AsyncIterator[Lag]:
    """The running loop's lag, measured for as long as the block lasts."""
    lag = Lag()

    async def keep_waking() -> None:
        while True:
            pause_s = lag.wakes()
            await asyncio.sleep(pause_s)

    waking = spawn(keep_waking(), name="lag")
    try:
        yield lag
    finally:
        await cancel_and_wait(waking)
