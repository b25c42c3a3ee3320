"""The desk: what members ask for by commands and buttons, each answered in their
language, and every error in plain words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import discord
import structlog
from channels.db import database_sync_to_async
from discord.ext import commands

from bot.discord import optouts
from bot.discord.answer import Answer
from bot.discord.excuses import told
from bot.discord.faults import FAULTS, fault
from bot.discord.notices import Notice, text
from bot.discord.operator import AlreadyHereError
from sessions import addresses
from sessions.errors import VoiceError

if TYPE_CHECKING:
    from bot.discord.conversation import Conversation
    from bot.discord.operator import Operator
    from bot.discord.optouts import Admission

log = structlog.get_logger(__name__)

Interaction = discord.Interaction[Any]
Context = commands.Context[Any]


class Desk:
    """One process's."""

    def __init__(self, operator: Operator, admission: Admission) -> None:
        self.operator = operator
        self.admission = admission

    @asynccontextmanager
    async def answering(
        self, context: Context, *, is_private: bool = True
    ) -> AsyncIterator[Answer]:
        """Acknowledge at once; whatever the block raises is told instead."""
        answer = Answer(context, is_private=is_private)
        try:
            await answer.defer()
            yield answer
        except (VoiceError, *FAULTS) as e:
            await self.excuse(answer, e, locale=locale_of(context))
        except Exception as e:
            # The member gets an answer, the operator a traceback.
            log.exception("discord.command_failed", command=str(context.command))
            await self.excuse(answer, None, locale=locale_of(context))
            del e

    async def excuse(
        self, answer: Answer, error: BaseException | None, *, locale: str
    ) -> None:
        found = None if error is None else fault(error)
        notice, values = told(found, locale=locale)
        if isinstance(found, AlreadyHereError):
            values["channel"] = f"<#{found.channel_id}>"
        values.setdefault("channel", "")
        try:
            await answer.show(text(notice, locale, **values))
        except FAULTS as e:
            log.info("discord.not_excused", code=found and found.code, why=str(type(e)))

    async def stop_in(self, guild_id: int | None, user: Any) -> Conversation:
        """End the call of a guild, for whoever may. Raises VoiceError."""
        call = self.operator.call_in(guild_id or 0)
        if call is None:
            raise VoiceError("nothing", "Nothing is recorded here.", status=404)
        if not may_stop(call, user):
            raise VoiceError("not_yours", "The call is not yours.", status=403)
        await self.operator.end(call, "stopped")
        return call

    async def stop(self, interaction: Interaction, *, session: str) -> None:
        """The button of a panel."""
        locale = str(interaction.locale)
        await interaction.response.defer(ephemeral=True, thinking=True)
        call = self.operator.call_in(interaction.guild_id or 0)
        if call is None or str(call.session.public_id) != session:
            content = text(Notice.ERROR_ENDED, locale)
        elif not may_stop(call, interaction.user):
            content = text(Notice.ERROR_NOT_YOURS, locale)
        else:
            await self.operator.end(call, "stopped")
            content = stopped(call, locale)
        await interaction.edit_original_response(content=content)

    async def opt_out(self, interaction: Interaction) -> None:
        """The other button."""
        await interaction.response.defer(ephemeral=True, thinking=True)
        await self.set_opted_out(interaction.user.id, is_out=True)
        content = text(Notice.OPTOUT_DONE, str(interaction.locale))
        await interaction.edit_original_response(content=content)

    async def set_opted_out(self, user_id: int, *, is_out: bool) -> None:
        """Held from the next packet on."""
        change = optouts.opt_out if is_out else optouts.opt_in
        await database_sync_to_async(change)(user_id)
        await database_sync_to_async(self.admission.refresh)()


def locale_of(context: Context) -> str:
    if context.interaction is not None:
        return str(context.interaction.locale)
    return str(context.guild.preferred_locale) if context.guild else "en"


def may_stop(call: Conversation, user: Any) -> bool:
    """Who asked for it, who sits in it, and who manages the server."""
    if user.id == call.user_id or user.id in call.people():
        return True
    permissions = getattr(user, "guild_permissions", None)
    return permissions is not None and permissions.manage_guild


def stopped(call: Conversation, locale: str) -> str:
    if not call.session.record or not call.is_begun:
        return text(Notice.END_DONE, locale)
    return text(Notice.RECORD_STOPPED, locale, url=addresses.page_of(call.session))
