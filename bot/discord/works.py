"""What is under way for one call, in tasks of their own; none of them outlives it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from sessions.background import Work, spawn
from sessions.errors import VoiceError


class Works:
    """Of one call, on its event loop. `crashed` is told when one of them fails by
    itself without which there is no call."""

    def __init__(self, *, session: int, crashed: Callable[[], None]) -> None:
        self._session = session
        self._crashed = crashed
        self._works: set[asyncio.Task[Any]] = set()
        self._errands: set[asyncio.Task[Any]] = set()
        self._is_over = False

    async def hold(self, work: Work) -> None:
        """Do what somebody waits for; broken off at the end. Raises VoiceError then,
        and else what the work raises."""
        task = self._add(asyncio.create_task(work))
        try:
            await task
        except asyncio.CancelledError:
            us = asyncio.current_task()
            if us is not None and us.cancelling():
                raise
            raise VoiceError("session_ended", "It ended before it began.") from None

    def start(self, work: Work, *, name: str) -> None:
        """Do something beside; broken off at the end. It may fail: a sign that nobody
        sees is no reason to hear nobody."""
        self._add(self._begun(work, name))

    def depend(self, work: Work, *, name: str) -> None:
        """The same, and where it fails, so does the call."""
        self._add(self._begun(work, name)).add_done_callback(self._ended)

    def run(self, errand: Work, *, name: str) -> None:
        """Do something beside, and whole: whoever ends the call waits for it. It may
        fail."""
        task = self._begun(errand, name)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def end(self, *, within_s: float) -> None:
        """Break off what can be; nothing more is begun."""
        self._is_over = True
        for task in self._works:
            task.cancel()
        if self._works:
            await asyncio.wait(self._works, timeout=within_s)

    async def finish(self) -> None:
        """Wait for the errands."""
        if self._errands:
            await asyncio.wait(self._errands)

    def _begun(self, work: Work, name: str) -> asyncio.Task[Any]:
        return spawn(work, name=name, session=self._session)

    def _add(self, task: asyncio.Task[Any]) -> asyncio.Task[Any]:
        self._works.add(task)
        task.add_done_callback(self._works.discard)
        if self._is_over:
            task.cancel()
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._crashed()
