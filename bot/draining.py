"""Draining: from the first signal to stop until the last call has ended by itself.

An update takes no call away from people: no new ones are taken, those that run go on,
for a set time at most. A second signal ends them at once. How a call is ended is not
known here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from sessions.background import cancel_and_wait, spawn

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 0.5


class Caretaker(Protocol):
    """Whoever has calls here."""

    @property
    def active(self) -> int:
        """How many run."""

    def drain(self) -> None:
        """Take no more."""


class Draining:
    """Of one process, on its event loop."""

    def __init__(
        self,
        *,
        within_s: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.is_over = asyncio.Event()
        """All calls have ended, or were given their time."""
        self._within_s = within_s
        self._sleep = sleep
        self._is_asked = asyncio.Event()
        self._is_hurried = asyncio.Event()

    @property
    def is_begun(self) -> bool:
        """Whether we were told to stop."""
        return self._is_asked.is_set()

    def ask(self) -> None:
        """Stop: in a while; asked again, at once."""
        (self._is_hurried if self._is_asked.is_set() else self._is_asked).set()

    def hurry(self) -> None:
        """Stop at once."""
        self._is_asked.set()
        self._is_hurried.set()

    async def run(self, caretakers: Sequence[Caretaker]) -> None:
        """Returns when it is over; sets `is_over`."""
        await self._is_asked.wait()
        if self._within_s and not self._is_hurried.is_set():
            await self._drain(caretakers)
        self.is_over.set()

    async def _drain(self, caretakers: Sequence[Caretaker]) -> None:
        for one in caretakers:
            one.drain()
        log.info("bot.draining", calls=_active(caretakers))
        late = spawn(self._hurry_late(), name="drain.late")
        while _active(caretakers) and not self._is_hurried.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._is_hurried.wait()
        await cancel_and_wait(late)
        if left := _active(caretakers):
            log.warning("bot.drained_late", calls=left)

    async def _hurry_late(self) -> None:
        await self._sleep(self._within_s)
        self.hurry()


def _active(caretakers: Sequence[Caretaker]) -> int:
    return sum(one.active for one in caretakers)
