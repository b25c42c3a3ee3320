"""The answer to a command, slash or prefix: shown at once, and changed as things go on.

Without mentions: what people are called must not ring anybody.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import discord
from discord.ext import commands
from discord.utils import MISSING

TOKEN_S = 14 * 60.0
"""An interaction may be answered for a quarter of an hour."""
NONE = discord.AllowedMentions.none()


class Answer:
    """To one command. `defer` comes first, within three seconds."""

    def __init__(
        self,
        context: commands.Context[Any],
        *,
        is_private: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`is_private`: only who asked sees it, where Discord can do that."""
        self._context = context
        self._is_private = is_private
        self._clock = clock
        self._began_s = clock()
        self._message: discord.Message | None = None

    async def defer(self) -> None:
        if self._context.interaction is not None:
            await self._context.defer(ephemeral=self._is_private)

    async def show(self, content: str, *, view: discord.ui.View | None = None) -> bool:
        """False when it is too late for an answer. Raises discord's errors."""
        if self._clock() - self._began_s > TOKEN_S:
            return False
        interaction = self._context.interaction
        try:
            if interaction is not None:
                await interaction.edit_original_response(
                    content=content, view=view, allowed_mentions=NONE
                )
            elif self._message is not None:
                await self._message.edit(
                    content=content, view=view, allowed_mentions=NONE
                )
            else:
                self._message = await self._context.reply(
                    content, view=view or MISSING, allowed_mentions=NONE
                )
        except discord.NotFound:
            return False
        return True

    async def show_file(self, content: str, file: discord.File) -> None:
        """With a file beside it."""
        interaction = self._context.interaction
        if interaction is not None:
            await interaction.edit_original_response(
                content=content, attachments=[file], allowed_mentions=NONE
            )
        else:
            await self._context.reply(content, file=file, allowed_mentions=NONE)
