"""Draining: from the first signal to stop until the last call has ended by itself.

An update takes no call away from people: no new ones are taken, those that run go on,
for a set time at most. A second signal ends them at once. How a call is ended is not
known here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import structlog

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

    def __init__(self, *, within_s: float) -> None:
        self.is_over = asyncio.Event()
        """All calls have ended, or were given their time."""
        self._within_s = within_s
        self._is_asked = asyncio.Event()
        self._is_hurried = asyncio.Event()

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
        try:
            async with asyncio.timeout(self._within_s):
                await self._drain(caretakers)
        except TimeoutError:
            left = sum(one.active for one in caretakers)
            if self._within_s and left:
                log.warning("bot.drained_late", calls=left)
        self.is_over.set()

    async def _drain(self, caretakers: Sequence[Caretaker]) -> None:
        if not self._within_s or self._is_hurried.is_set():
            return
        for one in caretakers:
            one.drain()
        log.info("bot.draining", calls=sum(one.active for one in caretakers))
        while any(one.active for one in caretakers):
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._is_hurried.wait()
            except TimeoutError:
                continue
            return
