"""Commands about oneself, and about the bot: /optout, /optin, /erase me, /privacy,
/help."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from channels.db import database_sync_to_async
from discord.ext import commands
from django.conf import settings

from bot.discord import erasing
from bot.discord.commands.confirming import Confirming
from bot.discord.desk import locale_of
from bot.discord.faults import FAULTS, said
from bot.discord.notices import Notice, text
from bot.discord.retained import retained

if TYPE_CHECKING:
    from bot.discord.desk import Context, Desk
    from bot.discord.eraser import Eraser
    from bot.discord.erasing import Erased
    from bot.discord.text.answer import Answer

log = structlog.get_logger(__name__)

OFTEN = commands.cooldown(5, 30.0, commands.BucketType.user)
SELDOM = commands.cooldown(2, 30.0, commands.BucketType.user)


class People(commands.Cog):
    def __init__(self, desk: Desk, eraser: Eraser) -> None:
        self._desk = desk
        self._eraser = eraser

    @commands.hybrid_command()
    @OFTEN
    async def optout(self, context: Context) -> None:
        """Have nothing you say recorded anywhere by this bot."""
        async with self._desk.answering(context) as answer:
            await self._desk.set_opted_out(context.author.id, is_out=True)
            await answer.show(text(Notice.OPTOUT_DONE, locale_of(context)))

    @commands.hybrid_command()
    @OFTEN
    async def optin(self, context: Context) -> None:
        """Let yourself be recorded again."""
        async with self._desk.answering(context) as answer:
            await self._desk.set_opted_out(context.author.id, is_out=False)
            await answer.show(text(Notice.OPTOUT_UNDONE, locale_of(context)))

    @commands.hybrid_group()
    async def erase(self, context: Context) -> None:
        """Delete what was recorded of you."""
        # Only with a prefix, and without its second word.
        async with self._desk.answering(context) as answer:
            await answer.show(text(Notice.HELP_TEXT, locale_of(context)))

    @erase.command()
    @SELDOM
    async def me(self, context: Context) -> None:
        """Delete your voice and your lines from every session."""
        locale, user_id = locale_of(context), context.author.id
        async with self._desk.answering(context) as answer:
            count = await database_sync_to_async(erasing.concerned)(user_id)
            if not count:
                await self._eraser.erase(user_id)  # that they once asked for one
                await answer.show(text(Notice.ERASE_NOTHING, locale))
                return
            view = Confirming(
                user_id,
                label=text(Notice.ERASE_BUTTON, locale),
                confirmed=lambda: self._erase(answer, user_id, count, locale),
                expired=lambda: answer.show(text(Notice.ERASE_EXPIRED, locale)),
            )
            await answer.show(
                text(Notice.ERASE_CONFIRM, locale, count=count), view=view
            )

    @commands.hybrid_command()
    @OFTEN
    async def privacy(self, context: Context) -> None:
        """What is recorded, where it is kept, and how to have it deleted."""
        locale = locale_of(context)
        async with self._desk.answering(context) as answer:
            kept = retained(locale)
            url = settings.PUBLIC_URL or "https://github.com/parley"
            await answer.show(text(Notice.PRIVACY_TEXT, locale, kept=kept, url=url))

    @commands.hybrid_command()
    @OFTEN
    async def help(self, context: Context) -> None:
        """What this bot can do."""
        async with self._desk.answering(context) as answer:
            await answer.show(text(Notice.HELP_TEXT, locale_of(context)))

    async def _erase(
        self, answer: Answer, user_id: int, count: int, locale: str
    ) -> None:
        """They have confirmed it."""
        try:
            erased = await self._eraser.erase(user_id)
            await answer.show(_told(erased, count, locale))
        except FAULTS as e:
            log.info("discord.not_told", why=said(e))
        except Exception:
            # The member gets an answer, the operator a traceback.
            log.exception("erasure.failed")
            await self._desk.excuse(answer, None, locale=locale)


def _told(erased: Erased, count: int, locale: str) -> str:
    """What is gone, what is still to go, and what is not ours to delete."""
    waits = erased.waiting or erased.refused
    gone = erased.gone if waits else count
    lines = [text(Notice.ERASE_DONE, locale, count=gone)] if gone else []
    if erased.waiting:
        lines.append(text(Notice.ERASE_RUNNING, locale))
    if erased.refused:
        lines.append(text(Notice.ERASE_LATER, locale))
    lines.append(text(Notice.ERASE_LEFT, locale))
    if erased.receipt_url:
        lines.append(text(Notice.ERASE_RECEIPT, locale, url=erased.receipt_url))
    return "\n".join(lines)
