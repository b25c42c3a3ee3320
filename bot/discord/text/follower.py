"""Follows the log of one session: its lines go to the text channel, to the file of
lines, and to whoever answers.

Goes on behind the session's end, for its last words become text after it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog
from channels.db import database_sync_to_async
from django.conf import settings

from bot.discord.guild import deeds
from bot.discord.text.lines import Line, LineLog, line_of
from bot.discord.text.mirror import Mirror
from sessions.background import cancel_and_wait, spawn
from sessions.feed import feed
from sessions.models import State

if TYPE_CHECKING:
    import discord

    from bot.models import DiscordCall
    from sessions.models import VoiceSession

log = structlog.get_logger(__name__)

OVER = (State.READY, State.FAILED, State.DELETED)
MARK_EVERY_S = 5.0


class Follower:
    """One session's, on one event loop: from `start` to `finish`."""

    def __init__(
        self,
        session: VoiceSession,
        call: DiscordCall,
        *,
        channel: discord.abc.Messageable | None,
        heard: Callable[[Line], None],
        crashed: Callable[[], None],
    ) -> None:
        """`channel`: where the lines are shown; None: nowhere. `crashed`: no line is
        followed any more, by a fault of ours."""
        self._session, self._call = session, call
        self._heard, self._crashed = heard, crashed
        self._lines: LineLog | None = None
        self._mirror = (
            None if channel is None else Mirror(channel, mark=call.mirrored_to)
        )
        self._over = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._lines = await asyncio.to_thread(
            LineLog,
            settings.LOGS_DIR / "lines",
            self._session.public_id,
            keep=self._session.record,
        )
        if self._mirror is not None:
            await self._mirror.__aenter__()
            self._tasks.append(spawn(self._mark_on(), name="discord.mark"))
        following = spawn(self._follow(), name="discord.follow")
        following.add_done_callback(self._ended)
        self._tasks.append(following)

    def hurry(self) -> None:
        """Wait for no more lines."""
        self._over.set()

    async def finish(self, *, within_s: float) -> None:
        """Wait for the last lines, then close everything. May be called again."""
        if self._tasks:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await self._over.wait()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            await cancel_and_wait(task)
        if self._mirror is not None:
            await self._mirror.close()
            await self._keep_mark()
        if self._lines is not None:
            keep = self._session.record
            await asyncio.to_thread(self._lines.close, keep=keep)

    async def _follow(self) -> None:
        after = min(self._lines.last_seq if self._lines else 0, self._call.mirrored_to)
        followed = feed().follow(self._session.pk, after=after, passing=False)
        async with contextlib.aclosing(followed) as news:
            async for event in news:
                if event.type == "state" and event.data["state"] in OVER:
                    self._over.set()
                if (line := line_of(event)) is not None:
                    self._take(line)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._over.set()
        if not task.cancelled() and task.exception() is not None:
            self._crashed()

    def _take(self, line: Line) -> None:
        if self._lines is not None:
            self._lines.write(line)
        if self._mirror is not None:
            self._mirror.put(line)
        self._heard(line)

    async def _mark_on(self) -> None:
        while True:
            await asyncio.sleep(MARK_EVERY_S)
            await self._keep_mark()

    async def _keep_mark(self) -> None:
        """Where the mirror goes on if this process dies."""
        assert self._mirror is not None
        if self._mirror.mark == self._call.mirrored_to:
            return
        self._call.mirrored_to = self._mirror.mark
        try:
            await database_sync_to_async(deeds.mirrored)(
                self._call.pk, seq=self._mirror.mark
            )
        except Exception:
            # A database that is away costs lines shown twice after a crash, no more.
            log.warning("discord.mark_not_kept", call=self._call.pk, exc_info=True)
