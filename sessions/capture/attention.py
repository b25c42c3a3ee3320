"""Attention: how long this process itself did not listen.

A silence on one connection may be a hole in its sound, or this process being busy
elsewhere. Only here can the two be told apart: a task that wakes often notes by how
much it overslept.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from sessions.background import PerLoop, spawn

WAKE_S = 0.02
"""How often the loop is felt: one frame of sound."""
ON_TIME = 3
"""So many wakes on time in a row, and all that came during an absence has been read."""

SPANS = 250
"""A loop that is never on time remembers this many absences: 10 s and more."""


class Attention:
    """When one event loop has been away, as far as something may still wait unread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._away: deque[tuple[float, float]] = deque(maxlen=SPANS)
        self._on_time = 0
        self._due: float | None = None
        self._task: asyncio.Task[None] | None = None

    def away_s(self, since: float) -> float:
        """For how many seconds since then (of the clock) nobody listened, so that what
        is read only now may have come by then. What is going on right now is counted;
        an absence after which all was read again is not."""
        away_s = 0.0
        if self._due is not None and (now := self._clock()) > self._due:
            away_s = now - max(self._due, since)
        for begin, end in reversed(self._away):
            if end <= since:
                break
            away_s += end - max(begin, since)
        return away_s

    def wakes(self, *, again_in_s: float) -> None:
        """The loop is here now, and should be again after this while."""
        now = self._clock()
        if self._due is not None and now > self._due:
            self._away.append((self._due, now))
            self._on_time = self._on_time + 1 if now - self._due < WAKE_S else 0
        else:
            self._on_time += 1
        if self._on_time >= ON_TIME:
            self._away.clear()
        self._due = now + again_in_s

    def watch(self, *, while_: Callable[[], bool]) -> None:
        """See to it that the loop is watched for as long as `while_` says."""
        if self._task is None or self._task.done():
            self._task = spawn(self._keep_waking(while_), name="attention")

    async def _keep_waking(self, while_: Callable[[], bool]) -> None:
        while while_():
            self.wakes(again_in_s=WAKE_S)
            await asyncio.sleep(WAKE_S)
        self._due = None


_attentions = PerLoop(Attention)


def attention() -> Attention:
    """The attention of the running event loop."""
    return _attentions.here()
