"""The answer to a command, slash or prefix, or to a button: shown at once, and changed
as things go on.

Nobody waits for the acknowledgement, and for nothing longer than its deadline: an
answer that does not get there holds up no call. Without mentions: what people are
called must not ring anybody.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import discord
import structlog
from discord.ext import commands
from discord.utils import MISSING

from bot.discord.faults import FAULTS, said
from sessions.background import spawn

log = structlog.get_logger(__name__)

DEFER_WITHIN_S = 3.0
"""Discord takes no later acknowledgement."""
SHOW_WITHIN_S = 5.0
POST_WITHIN_S = 5.0
FILE_WITHIN_S = 30.0
TOKEN_S = 14 * 60.0
"""An interaction may be answered for a quarter of an hour."""
NONE = discord.AllowedMentions.none()


class Answer:
    """To one command or button. `defer` comes first, within three seconds."""

    def __init__(
        self,
        asked: commands.Context[Any] | discord.Interaction[Any],
        *,
        is_private: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`is_private`: only who asked sees it, where Discord can do that."""
        self._asked = asked
        self._is_private = is_private
        self._clock = clock
        self._began_s = clock()
        self._message: discord.Message | None = None
        self._deferring: asyncio.Task[None] | None = None

    def defer(self) -> None:
        """Acknowledge it, and go on at once."""
        if (interaction := self._interaction) is not None:
            self._deferring = spawn(self._defer(interaction), name="discord.defer")

    async def show(self, content: str, *, view: discord.ui.View | None = None) -> bool:
        """False when it is too late for an answer. Raises FAULTS."""
        if self._clock() - self._began_s > TOKEN_S:
            return False
        await self._deferred()
        try:
            async with asyncio.timeout(SHOW_WITHIN_S):
                await self._show(content, view)
        except discord.NotFound:
            return False
        return True

    async def show_file(self, content: str, file: discord.File) -> None:
        """With a file beside it. Raises FAULTS."""
        await self._deferred()
        async with asyncio.timeout(FILE_WITHIN_S):
            if (interaction := self._interaction) is not None:
                await interaction.edit_original_response(
                    content=content, attachments=[file], allowed_mentions=NONE
                )
            elif isinstance(self._asked, commands.Context):
                await self._asked.reply(content, file=file, allowed_mentions=NONE)

    async def get_across(self, content: str) -> None:
        """Show it, or else post it for all to see: not for what is personal. Never
        raises, for nothing depends on it."""
        for way in (self.show, self._post):
            try:
                if await way(content):
                    return
            except Exception as e:
                # Also what discord.py raises when it is being closed.
                log.info("discord.not_told", way=way.__name__, why=said(e))

    @property
    def _interaction(self) -> discord.Interaction[Any] | None:
        asked = self._asked
        return asked.interaction if isinstance(asked, commands.Context) else asked

    async def _defer(self, interaction: discord.Interaction[Any]) -> None:
        try:
            async with asyncio.timeout(DEFER_WITHIN_S):
                await interaction.response.defer(
                    ephemeral=self._is_private, thinking=True
                )
        except FAULTS as e:
            log.info("discord.not_deferred", why=said(e))

    async def _deferred(self) -> None:
        """Until Discord knows what there is to be changed."""
        if self._deferring is not None:
            await asyncio.wait([self._deferring])

    async def _show(self, content: str, view: discord.ui.View | None) -> None:
        if (interaction := self._interaction) is not None:
            await interaction.edit_original_response(
                content=content, view=view, allowed_mentions=NONE
            )
        elif self._message is not None:
            await self._message.edit(content=content, view=view, allowed_mentions=NONE)
        elif isinstance(self._asked, commands.Context):
            self._message = await self._asked.reply(
                content, view=view or MISSING, allowed_mentions=NONE
            )

    async def _post(self, content: str) -> bool:
        asked = self._asked
        user = asked.author if isinstance(asked, commands.Context) else asked.user
        if not isinstance(asked.channel, discord.abc.Messageable):
            return False
        await call_out(asked.channel, content, user_id=user.id)
        return True


async def call_out(
    channel: discord.abc.Messageable, content: str, *, user_id: int
) -> None:
    """Post something that rings one user, and nobody else. Raises FAULTS."""
    user = discord.Object(user_id)
    async with asyncio.timeout(POST_WITHIN_S):
        await channel.send(
            f"<@{user_id}> {content}",
            allowed_mentions=discord.AllowedMentions(
                everyone=False, roles=False, users=[user]
            ),
        )
