"""From a thread that makes sound to an event loop that plays it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor
from contextlib import suppress

from bot.voice.tts.engine import Block

Put = Callable[[Block], bool]
"""Hands over a block; False when nobody listens any more."""


async def blocks_of(
    make: Callable[[Put], None], *, executor: Executor
) -> AsyncGenerator[Block, None]:
    """The blocks that `make(put)` puts, in its thread; raises what it raises.

    Nothing slows `make` down: what it makes of one text has to fit into memory.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[Block | None] = asyncio.Queue()
    left = threading.Event()

    def put(block: Block | None) -> bool:
        with suppress(RuntimeError):  # the loop has gone: so has the listener
            loop.call_soon_threadsafe(queue.put_nowait, block)
        return not left.is_set()

    def work() -> None:
        try:
            if not left.is_set():
                make(put)
        finally:
            put(None)

    done = loop.run_in_executor(executor, work)
    try:
        while (block := await queue.get()) is not None:
            yield block
        await done
    finally:
        left.set()
        done.cancel()  # if it has not begun; what a late one raises interests nobody
