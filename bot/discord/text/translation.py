"""The commands' descriptions, in the languages Discord shows them in."""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands
from discord.app_commands import TranslationContextLocation as Place

from bot.discord.notices import described, language_of

OURS = {
    discord.Locale.italian,
    discord.Locale.romanian,
    discord.Locale.ukrainian,
    discord.Locale.russian,
}
"""English is what stands in the code's place of it."""


class Descriptions(app_commands.Translator):
    """Names stay English: documents and people name commands by them."""

    async def translate(
        self,
        string: app_commands.locale_str,
        locale: discord.Locale,
        context: app_commands.TranslationContextTypes,
    ) -> str | None:
        key = _key(context)
        if key is None or locale not in OURS:
            return None
        try:
            return described(key, language_of(str(locale)))
        except KeyError:
            return None


def _key(context: app_commands.TranslationContextTypes) -> str | None:
    found: Any = context.data
    match context.location:
        case Place.command_description | Place.group_description:
            return str(found.qualified_name)
        case Place.parameter_description:
            return f"{found.command.qualified_name}.{found.name}"
    return None
