"""Serving the queue: who waits is called when there is a slot, and told their place.

Belongs to one process and the client's event loop. What becomes of whoever is called is
`operator`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import Any

import discord
import structlog
from channels.db import database_sync_to_async
from django.conf import settings

from bot.discord.notices import Notice
from bot.discord.text.answer import Answer
from bot.discord.text.asker import Asker
from bot.discord.unbroken import unbroken
from sessions import measures, queue
from sessions.background import spawn
from sessions.models import Source, VoiceRequest

log = structlog.get_logger(__name__)

LEASE_S = 30.0
"""A slot whose process died comes back after so long."""
LOOK_EVERY_S = 2.0
"""For slots that other processes freed; renews ours on the way."""


class Serving:
    """One process's share of the queue: what is asked for in its guilds."""

    def __init__(
        self,
        client: discord.Client,
        *,
        holder: str,
        serve: Callable[[VoiceRequest, Asker], Coroutine[Any, Any, None]],
        is_free: Callable[[int], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`is_free` says of a guild whether anybody could be served there: a slot may
        come back before all of the call that had it is undone."""
        self.holder = holder
        self._client = client
        self._serve = serve
        self._is_free = is_free
        self._clock = clock
        self._askers: dict[int, Asker] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Event()
        self._is_open = asyncio.Event()
        self._queueing = asyncio.Lock()
        self._is_closing = False

    async def ask(self, *, answer: Answer | None = None, **wish: Any) -> None:
        """Join the queue with a wish, as `queue.ask` takes it, and be served at once
        where that can be. Raises AlreadyWaitingError."""
        asked_at = self._clock()
        await self._is_open.wait()  # whoever comes before recovery is done
        async with self._queueing:
            ask = database_sync_to_async(queue.ask)
            request = await ask(source=Source.DISCORD, **wish)
            asker = Asker(self._client, request, answer=answer, asked_at=asked_at)
            self._askers[request.pk] = asker
            await unbroken(self._serve_next())
        if request.pk in self._askers:
            self.look()  # who waits is told their place

    def look(self) -> None:
        """There may be a slot."""
        self._turn.set()

    async def run(self) -> None:
        """Serve until cancelled: once what a start found is recovered."""
        self._is_open.set()
        while True:
            try:
                await database_sync_to_async(self._keep_leases)()
                async with self._queueing:
                    await unbroken(self._serve_next())
                    await self._show_places()
            except Exception:
                # Mostly a database that is away: it is asked again.
                log.warning("discord.queue_unread", exc_info=True)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._turn.wait()
            self._turn.clear()

    def drain(self) -> None:
        """Nobody is called any more; who waits, waits for the next process."""
        self._is_closing = True

    async def close(self, *, within_s: float) -> None:
        """Nobody is served any more. Who waits goes on waiting, in the database; so
        does whoever was called just now and has got nothing yet."""
        self.drain()
        try:
            async with self._queueing:
                await database_sync_to_async(queue.put_back_of)(self.holder)
        except Exception:
            # A database that is away: the next start does the same.
            log.warning("discord.not_put_back", exc_info=True)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within_s)

    def _keep_leases(self) -> None:
        queue.renew(self.holder, lease_s=LEASE_S)
        waiting = len(queue.put_back_lost())
        measures.orphans("request", found=waiting, healed=waiting)

    async def _serve_next(self) -> None:
        take = database_sync_to_async(queue.take_next)
        while not self._is_closing:
            guilds = [one.id for one in self._client.guilds if self._is_free(one.id)]
            request = await take(
                [str(guild) for guild in guilds],
                holder=self.holder,
                most=settings.VOICE_MAX_ACTIVE,
                lease_s=LEASE_S,
            )
            if request is None or self._is_closing:
                return
            asker = self._askers.pop(request.pk, None)
            asker = asker or Asker(self._client, request, asked_at=self._clock())
            task = spawn(self._serve(request, asker), name=f"serve {request.pk}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _show_places(self) -> None:
        """Who waits sees their place move; who was taken out, that they were."""
        guilds = [str(guild.id) for guild in self._client.guilds]
        places = await database_sync_to_async(queue.places)(guilds)
        for request_id in self._askers.keys() - places.keys():
            self._askers.pop(request_id).tell(Notice.ROOM_LEFT_QUEUE)
        for request_id, place in places.items():
            asker = self._askers.get(request_id)
            if asker is not None and asker.place != place:
                asker.place = place
                asker.tell(Notice.ROOM_WAITING, place=place)
