"""Background tasks of one event loop: kept alive, and never failing in silence."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any

import structlog

log = structlog.get_logger(__name__)

_running: set[asyncio.Task[Any]] = set()


def spawn(work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
    """Start `work`; asyncio itself would hold it only weakly and hide its error.

    In a context of its own: a request's context names a database thread that ends with
    the request.
    """
    task = asyncio.create_task(work, name=name, context=contextvars.Context())
    _running.add(task)
    task.add_done_callback(_ended)
    return task


def _ended(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("background.failed", task=task.get_name(), exc_info=error)


async def cancel_and_wait(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it is gone; its own errors are logged above."""
    task.cancel()
    await asyncio.wait([task])
