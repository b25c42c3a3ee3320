"""Attention: how long this process itself did not listen.

A silence on one connection may be a hole in its sound, or this process being busy
elsewhere. Only here can the two be told apart: a task that wakes often notes by how
much it overslept.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from sessions.background import PerLoop, spawn

WAKE_S = 0.02
"""How often the loop is felt: one frame of sound."""


class Attention:
    """How long one event loop has been away, in all, since it was first watched."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._away_s = 0.0
        self._due: float | None = None
        self._task: asyncio.Task[None] | None = None

    def away_s(self) -> float:
        """Seconds away so far; what is going on right now is counted, too."""
        if self._due is None:
            return self._away_s
        return self._away_s + max(self._clock() - self._due, 0.0)

    def wakes(self, *, again_in_s: float) -> None:
        """The loop is here now, and should be again after this while."""
        self._away_s = self.away_s()
        self._due = self._clock() + again_in_s

    def watch(self, *, while_: Callable[[], bool]) -> None:
        """See to it that the loop is watched for as long as `while_` says."""
        if self._task is None or self._task.done():
            self._task = spawn(self._keep_waking(while_), name="attention")

    async def _keep_waking(self, while_: Callable[[], bool]) -> None:
        while while_():
            self.wakes(again_in_s=WAKE_S)
            await asyncio.sleep(WAKE_S)
        self._away_s, self._due = self.away_s(), None


_attentions = PerLoop(Attention)


def attention() -> Attention:
    """The attention of the running event loop."""
    return _attentions.here()
