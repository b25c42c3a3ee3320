"""What lives on one event loop: its background tasks, and its single objects.

Tasks are kept alive, and never fail in silence.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any, Generic, ParamSpec, TypeVar

import structlog
from django.db import connections

P = ParamSpec("P")
T = TypeVar("T")
Work = Coroutine[Any, Any, Any]
log = structlog.get_logger(__name__)

_running: set[asyncio.Task[Any]] = set()


def spawn(work: Work, *, name: str, **ids: int) -> asyncio.Task[Any]:
    """Start `work`; asyncio itself would hold it only weakly and hide its error.

    In a context of its own: a request's context names a database thread that ends with
    the request. `ids`, of what it works for, stand on each line of its log.
    """
    context = contextvars.Context()
    context.run(structlog.contextvars.bind_contextvars, **ids)
    task = asyncio.create_task(work, name=name, context=context)
    _running.add(task)
    task.add_done_callback(_ended)
    return task


def _ended(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("background.failed", task=task.get_name(), exc_info=error)


async def aside(work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run what asks the database and also the storage, in a thread of its own: the
    thread of the database serves everybody here, and may not wait for a storage."""

    def run() -> T:
        try:
            return work(*args, **kwargs)
        finally:
            connections.close_all()  # this thread's, which may never be used again

    return await asyncio.to_thread(run)


async def cancel_and_wait(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it is gone; its own errors are logged above."""
    task.cancel()
    await asyncio.wait([task])


class PerLoop(Generic[T]):
    """One object for each event loop, made when first asked for."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: dict[asyncio.AbstractEventLoop, T] = {}

    def here(self) -> T:
        """The object of the running event loop; those of closed loops are dropped."""
        loop = asyncio.get_running_loop()
        for closed in [other for other in self._made if other.is_closed()]:
            del self._made[closed]
        if loop not in self._made:
            self._made[loop] = self._make()
        return self._made[loop]
