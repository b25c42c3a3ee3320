"""The button behind which something cannot be taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import discord
import structlog

from bot.discord.faults import FAULTS

log = structlog.get_logger(__name__)

WITHIN_S = 60.0
SHOWN_WITHIN_S = 3.0


class Confirming(discord.ui.View):
    """One button that one user may press once, within WITHIN_S. `expired` is called
    when they did not."""

    def __init__(
        self,
        user_id: int,
        *,
        label: str,
        confirmed: Callable[[], Awaitable[object]],
        expired: Callable[[], Awaitable[object]],
    ) -> None:
        super().__init__(timeout=WITHIN_S)
        self._user_id = user_id
        self._confirmed, self._expired = confirmed, expired
        self._is_pressed = False
        button = discord.ui.Button[Any](label=label, style=discord.ButtonStyle.danger)
        button.callback = self._press  # type: ignore[method-assign]
        self.add_item(button)

    async def interaction_check(self, interaction: discord.Interaction[Any]) -> bool:
        """Others see it where the command came with a prefix."""
        if interaction.user.id == self._user_id:
            return True
        await interaction.response.defer()  # else Discord says that it failed
        return False

    async def on_timeout(self) -> None:
        try:
            await self._expired()
        except FAULTS as e:
            log.info("discord.not_told", why=type(e).__name__)

    async def _press(self, interaction: discord.Interaction[Any]) -> None:
        if self._is_pressed:
            await interaction.response.defer()
            return
        self._is_pressed = True
        self.stop()
        try:
            async with asyncio.timeout(SHOWN_WITHIN_S):
                await interaction.response.edit_message(view=None)
        except FAULTS as e:
            # They pressed it: that Discord does not show it is another matter.
            log.info("discord.not_told", why=type(e).__name__)
        await self._confirmed()
