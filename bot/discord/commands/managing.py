"""Commands for those who manage a server: /recover, /end, /health."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from channels.db import database_sync_to_async
from discord import app_commands
from discord.ext import commands

from bot.discord import report
from bot.discord.commands import finding
from bot.discord.commands.finding import Asking
from bot.discord.desk import locale_of
from bot.discord.guild import deeds
from bot.discord.notices import Notice, described, text
from bot.discord.vitals import Client, vitals_of
from sessions import finish, queries, recovery
from sessions.background import aside
from sessions.errors import SessionEndedError, VoiceError
from sessions.models import Source, State, VoiceSession

if TYPE_CHECKING:
    from datetime import datetime

    from bot.discord.desk import Context, Desk
    from bot.discord.sweep import Sweep


class Bot(Client, Protocol):
    """What is asked of the bot's client."""

    desk: Desk
    sweep: Sweep
    ready_at: datetime | None


def _by_managers(context: Context) -> bool:
    if not finding.manages(context.author):
        raise commands.MissingPermissions(["manage_guild"])
    return True


MANAGERS = commands.check(_by_managers)
"""Held here, also where the command comes with a prefix."""
SHOWN = app_commands.default_permissions(manage_guild=True)
"""Held by Discord, where whoever manages the server has not said otherwise."""
SELDOM = commands.cooldown(2, 30.0, commands.BucketType.member)


class Managing(commands.Cog):
    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._desk = bot.desk

    @commands.hybrid_command()
    @commands.guild_only()
    @MANAGERS
    @SELDOM
    @SHOWN
    async def recover(self, context: Context) -> None:
        """Finish sessions that were cut off."""
        locale = locale_of(context)
        async with self._desk.answering(context) as answer:
            assert context.guild is not None
            count = await self._recover(context.guild.id)
            notice = Notice.RECOVER_DONE if count else Notice.RECOVER_NONE
            await answer.show(text(notice, locale, count=count))

    @commands.hybrid_command()
    @commands.guild_only()
    @SELDOM
    @app_commands.describe(id=described("end.id", "en"))
    async def end(self, context: Context, id: str) -> None:  # noqa: A002 (its name for people)
        """End a session."""
        async with self._desk.answering(context) as answer:
            asking = Asking.of(context)
            session = await database_sync_to_async(finding.find)(asking, id)
            asked_for_it = session.user_id == asking.user_id
            if not (asked_for_it or asking.manages):
                raise VoiceError("not_yours", "It is not theirs to end.", status=403)
            reason = "stopped" if asked_for_it else "moderator"
            await self._end(session, reason)
            await answer.show(text(Notice.END_DONE, locale_of(context)))

    @commands.hybrid_command()
    @commands.guild_only()
    @MANAGERS
    @SELDOM
    @SHOWN
    async def health(self, context: Context) -> None:
        """Show how the bot is doing."""
        locale = locale_of(context)
        async with self._desk.answering(context) as answer:
            assert context.guild is not None
            works = await database_sync_to_async(report.works)(
                [str(guild.id) for guild in self._bot.guilds]
            )
            told = report.told(
                vitals_of(self._bot),
                works,
                guild_id=context.guild.id,
                since=self._bot.ready_at,
            )
            await answer.show(text(Notice.HEALTH_TEXT, locale, text=told))

    async def _recover(self, guild_id: int) -> int:
        """How many sessions of the guild are gone on with: their files by workers, what
        they left in Discord by us."""
        rung = await aside(_ring, str(guild_id))
        left = await database_sync_to_async(_hurry)(str(guild_id))
        await self._bot.sweep.once()
        return len(rung | left)

    async def _end(self, session: VoiceSession, reason: str) -> None:
        """Raises VoiceError where it cannot be ended any more, or yet."""
        if session.state not in queries.ALIVE:
            raise SessionEndedError
        operator = self._desk.operator
        call = operator.call_in(int(session.guild_id))
        if call is not None and call.session.pk == session.pk:
            ended = await operator.end(call, reason)
        elif session.state == State.ACTIVE:
            ended = await _end_elsewhere(session.pk, reason)
        else:
            # Of a process that died: what became of it, the next one finds out.
            raise VoiceError("not_ready", "Nobody holds it just now.", status=409)
        if not ended:
            raise SessionEndedError


async def _end_elsewhere(session_id: int, reason: str) -> bool:
    try:
        return await finish.end(session_id, reason=reason)
    except ExceptionGroup:
        return True  # some steps failed and are in the log; the session is marked


def _ring(guild_id: str) -> set[int]:
    """Have workers go on with what is unfinished of a guild; the sessions."""
    ours = VoiceSession.objects.filter(source=Source.DISCORD, guild_id=guild_id)
    unfinished = set(ours.filter(state=State.FINISHING).values_list("pk", flat=True))
    for session_id in unfinished:
        finish.ring(session_id)
    lying = set(ours.filter(pk__in=recovery.left_behind()).values_list("pk", flat=True))
    for session_id in lying:
        recovery.ring_for(session_id)
    return unfinished | lying


def _hurry(guild_id: str) -> set[int | None]:
    """Have the next sweep try all that is left in a guild, whenever that would be due;
    the sessions it is of."""
    left = dict(
        deeds.left_behind().filter(guild_id=guild_id).values_list("pk", "session")
    )
    deeds.due_now(left)
    return set(left.values())
