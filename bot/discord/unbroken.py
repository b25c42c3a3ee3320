"""Work that is neither broken off nor given up.

A request that Discord has got is waited for, else nobody knows what it made. A database
that is away comes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import structlog
from django.db import Error as DatabaseError

T = TypeVar("T")
log = structlog.get_logger(__name__)

AGAIN_S, AGAIN_MAX_S = 0.2, 30.0


async def unbroken(work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns or raises. Whoever is cancelled meanwhile is so behind it."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # of no use to whoever is cancelled
        raise


async def insist(step: Callable[[], Awaitable[T]]) -> T:
    """What `step` returns, as soon as the database answers it."""
    wait_s = AGAIN_S
    while True:
        try:
            return await step()
        except (DatabaseError, OSError):
            log.warning("discord.database_away", exc_info=True)
        await asyncio.sleep(wait_s)
        wait_s = min(wait_s * 2, AGAIN_MAX_S)
