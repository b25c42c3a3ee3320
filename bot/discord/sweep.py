"""The sweep: what calls that have ended left behind in guilds is undone again and
again, until it is."""

from __future__ import annotations

import asyncio

import discord
import structlog
from channels.db import database_sync_to_async

from bot.discord.guild import deeds
from bot.discord.guild.undo import undo
from bot.discord.panel import close_left
from sessions import measures

log = structlog.get_logger(__name__)

EVERY_S = 5.0


class Sweep:
    """Of one client's guilds."""

    def __init__(self, client: discord.Client) -> None:
        self._client = client
        self._known: set[int] = set()

    async def run(self) -> None:
        while True:
            try:
                await self.once()
            except Exception:
                # Mostly a database that is away: the orphans are still there after it.
                log.warning("discord.sweep_failed", exc_info=True)
            await asyncio.sleep(EVERY_S)

    async def once(self) -> int:
        """Try what is due; how much of it is undone now."""
        guilds = [guild.id for guild in self._client.guilds if not guild.unavailable]
        orphans = await database_sync_to_async(deeds.orphans)(guilds)
        done = [await self._undo(orphan.pk) for orphan in orphans]
        lying = {orphan.pk for orphan in orphans}
        measures.orphans("call", found=len(lying - self._known), healed=sum(done))
        self._known = lying
        if any(done):
            log.info("discord.swept", calls=sum(done))
        for deed in await database_sync_to_async(deeds.panels_stale)(guilds):
            await close_left(self._client, deed)
        return sum(done)

    async def _undo(self, call_id: int) -> bool:
        # The ones before took their time: a call of now may have taken its name over.
        orphan = await database_sync_to_async(deeds.still_left)(call_id)
        return orphan is not None and await undo(self._client, orphan)
