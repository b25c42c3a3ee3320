"""The eraser: goes on with everybody's wishes to be forgotten, until they are done."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import structlog

from bot.discord import erasing
from bot.discord.erasing import Erased
from sessions.background import aside

log = structlog.get_logger(__name__)

EVERY_S = 30.0


class Eraser:
    """One process's: one wish at a time."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        while True:
            try:
                await self.go_on()
            except Exception:
                # Mostly a database that is away: the wishes are still there after it.
                log.warning("erasure.failed", exc_info=True)
            await asyncio.sleep(EVERY_S)

    async def go_on(self, user_id: int | None = None) -> Erased:
        """Everybody's, or one's, as far as it goes now."""
        async with self._turn:
            return await aside(erasing.go_on, user_id)

    async def erase(self, user_id: int) -> Erased:
        """Take somebody's wish, and do at once what can be done."""
        await aside(erasing.ask, user_id)
        receipt = await aside(erasing.receipt_of, user_id)
        return replace(await self.go_on(user_id), receipt_url=receipt)
