"""What Discord did although its answer never came: the gateway tells of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

WITHIN_S = 0.5
"""From an answer that was lost to the gateway's word."""
POLL_S = 0.02


async def surfaced(find: Callable[[], T | None]) -> T | None:
    """What `find` finds by then in what discord.py knows."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(WITHIN_S):
            # That changes without a word to us.
            while not find():  # noqa: ASYNC110
                await asyncio.sleep(POLL_S)
    return find()
