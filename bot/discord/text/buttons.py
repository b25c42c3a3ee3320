"""The buttons of a panel. They work for as long as the message stands, whatever process
made it: the session's id is in them."""

from __future__ import annotations

import re
from typing import Any, Protocol, Self, cast

import discord

ID = r"(?P<session>[0-9a-f-]{36})"


class Desk(Protocol):
    """Who does what they ask for."""

    async def stop(
        self, interaction: discord.Interaction[Any], *, session: str
    ) -> None: ...
    async def opt_out(self, interaction: discord.Interaction[Any]) -> None: ...


def _desk(interaction: discord.Interaction[Any]) -> Desk:
    return cast("Desk", interaction.client.desk)


class StopButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=rf"parley:stop:{ID}",
):
    """Ends the call."""

    def __init__(self, session: str, *, label: str = "Stop") -> None:
        self.session = session
        super().__init__(
            discord.ui.Button(
                label=label,
                style=discord.ButtonStyle.danger,
                custom_id=f"parley:stop:{session}",
            )
        )

    @classmethod
    async def from_custom_id(cls, _: Any, __: Any, match: re.Match[str], /) -> Self:
        return cls(match["session"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        await _desk(interaction).stop(interaction, session=self.session)


class OptOutButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=rf"parley:optout:{ID}",
):
    """Nothing of whoever presses it is kept from then on."""

    def __init__(self, session: str, *, label: str = "Don't record me") -> None:
        super().__init__(
            discord.ui.Button(
                label=label,
                style=discord.ButtonStyle.secondary,
                custom_id=f"parley:optout:{session}",
            )
        )

    @classmethod
    async def from_custom_id(cls, _: Any, __: Any, match: re.Match[str], /) -> Self:
        return cls(match["session"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        await _desk(interaction).opt_out(interaction)
