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
from bot.discord.faults import FAULTS, fault
from bot.discord.notices import Notice, text
from bot.discord.operator import AlreadyHereError
from bot.discord.text.answer import Answer
from bot.discord.text.excuses import told
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
        self, asked: Context | Interaction, *, is_private: bool = True
    ) -> AsyncIterator[Answer]:
        """Acknowledge at once; whatever the block raises is told instead. What is asked
        is done also where Discord takes no acknowledgement."""
        answer = Answer(asked, is_private=is_private)
        answer.defer()
        try:
            yield answer
        except (VoiceError, *FAULTS) as e:
            await self.excuse(answer, e, locale=locale_of(asked))
        except Exception as e:
            # The member gets an answer, the operator a traceback.
            log.exception("discord.command_failed", command=str(asked.command))
            await self.excuse(answer, None, locale=locale_of(asked))
            del e

    async def excuse(
        self, answer: Answer, error: BaseException | None, *, locale: str
    ) -> None:
        found = None if error is None else fault(error)
        notice, values = told(found, locale=locale)
        if isinstance(found, AlreadyHereError):
            values["channel"] = f"<#{found.channel_id}>"
        values.setdefault("channel", "")
        await answer.get_across(text(notice, locale, **values))

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
        async with self.answering(interaction) as answer:
            call = self.operator.call_in(interaction.guild_id or 0)
            if call is None or str(call.session.public_id) != session:
                raise VoiceError("ended", "It has ended already.", status=404)
            await self.stop_in(interaction.guild_id, interaction.user)
            await answer.get_across(stopped(call, locale_of(interaction)))

    async def opt_out(self, interaction: Interaction) -> None:
        """The other button."""
        async with self.answering(interaction) as answer:
            await self.set_opted_out(interaction.user.id, is_out=True)
            await answer.show(text(Notice.OPTOUT_DONE, locale_of(interaction)))

    async def set_opted_out(self, user_id: int, *, is_out: bool) -> None:
        """Held from the next packet on."""
        change = optouts.opt_out if is_out else optouts.opt_in
        await database_sync_to_async(change)(user_id)
        await database_sync_to_async(self.admission.refresh)()
        for call in self.operator.calls:
            if user_id in call.people():
                call.note_unrecorded(user_id)


def locale_of(asked: Context | Interaction) -> str:
    if isinstance(asked, discord.Interaction):
        return str(asked.locale)
    if asked.interaction is not None:
        return str(asked.interaction.locale)
    return str(asked.guild.preferred_locale) if asked.guild else "en"


def may_stop(call: Conversation, user: Any) -> bool:
    """Who asked for it, who sits in it, and who manages the server."""
    if user.id == call.user_id or user.id in call.people():
        return True
    permissions = getattr(user, "guild_permissions", None)
    return permissions is not None and permissions.manage_guild


def stopped(call: Conversation, locale: str) -> str:
    """With the session's link, but not for all to see what was said in a room."""
    if not call.session.record or not call.is_begun or call.is_room:
        return text(Notice.END_DONE, locale)
    return text(Notice.RECORD_STOPPED, locale, url=addresses.page_of(call.session))
