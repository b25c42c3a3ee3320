"""Commands about oneself, and about the bot: /optout, /optin, /privacy, /help."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discord.ext import commands
from django.conf import settings

from bot.discord.desk import locale_of
from bot.discord.notices import Notice, text

if TYPE_CHECKING:
    from bot.discord.desk import Context, Desk


class People(commands.Cog):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @commands.hybrid_command()
    async def optout(self, context: Context) -> None:
        """Have nothing you say recorded anywhere by this bot."""
        async with self._desk.answering(context) as answer:
            await self._desk.set_opted_out(context.author.id, is_out=True)
            await answer.show(text(Notice.OPTOUT_DONE, locale_of(context)))

    @commands.hybrid_command()
    async def optin(self, context: Context) -> None:
        """Let yourself be recorded again."""
        async with self._desk.answering(context) as answer:
            await self._desk.set_opted_out(context.author.id, is_out=False)
            await answer.show(text(Notice.OPTOUT_UNDONE, locale_of(context)))

    @commands.hybrid_command()
    async def privacy(self, context: Context) -> None:
        """What is recorded, where it is kept, and how to have it deleted."""
        locale = locale_of(context)
        async with self._desk.answering(context) as answer:
            kept = text(Notice.PANEL_KEPT_FOREVER, locale)
            url = settings.PUBLIC_URL or "https://github.com/parley"
            await answer.show(text(Notice.PRIVACY_TEXT, locale, kept=kept, url=url))

    @commands.hybrid_command()
    async def help(self, context: Context) -> None:
        """What this bot can do."""
        async with self._desk.answering(context) as answer:
            await answer.show(text(Notice.HELP_TEXT, locale_of(context)))
