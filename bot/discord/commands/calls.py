"""Commands that begin and end calls: /voice, /record, /leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands
from discord.ext import commands
from django.utils import timezone

from bot.discord.conversation import Voice
from bot.discord.desk import locale_of, stopped
from bot.discord.notices import Notice, described, text
from sessions.errors import VoiceError

if TYPE_CHECKING:
    from bot.discord.desk import Context, Desk
    from bot.discord.text.answer import Answer

STARTS = commands.cooldown(2, 30.0, commands.BucketType.member)
"""As Craig's: whoever asks faster has pressed twice."""
LANGUAGES = [
    app_commands.Choice(name=name, value=code)
    for code, name in (
        ("en", "English"),
        ("it", "Italiano"),
        ("ro", "Română"),
        ("uk", "Українська"),
        ("ru", "Русский"),
        ("de", "Deutsch"),
        ("es", "Español"),
        ("fr", "Français"),
        ("pl", "Polski"),
        ("pt", "Português"),
    )
]


class Calls(commands.Cog):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @commands.hybrid_command()
    @commands.guild_only()
    @STARTS
    @app_commands.choices(language=LANGUAGES)
    @app_commands.describe(language=described("voice.language", "en"))
    async def voice(self, context: Context, language: str = "") -> None:
        """Open a private voice room with the bot in it."""
        async with self._desk.answering(context) as answer:
            assert context.guild is not None
            await self._desk.operator.ask(
                guild=context.guild,
                user=context.author,
                text_channel_id=context.channel.id,
                language=language,
                locale=locale_of(context),
                answer=answer,
            )

    @commands.hybrid_group(fallback="status")
    @commands.guild_only()
    async def record(self, context: Context) -> None:
        """What is being recorded in this server now."""
        async with self._desk.answering(context) as answer:
            await answer.show(self._status(context))

    @record.command()
    @STARTS
    @app_commands.describe(keep=described("record start.keep", "en"))
    async def start(self, context: Context, keep: bool = True) -> None:  # noqa: FBT001, FBT002 (Discord's way to ask)
        """Record and write down the voice channel you are in."""
        async with self._desk.answering(context, is_private=False) as answer:
            assert context.guild is not None
            await self._desk.operator.ask(
                guild=context.guild,
                user=context.author,
                text_channel_id=context.channel.id,
                channel=_channel_of(context.author),
                record=keep,
                locale=locale_of(context),
                answer=answer,
            )

    @record.command()
    async def stop(self, context: Context) -> None:
        """Stop recording."""
        await self._stop(context)

    @commands.hybrid_command()
    @commands.guild_only()
    async def leave(self, context: Context) -> None:
        """Send the bot out of the voice channel and end its session; who waits for it
        leaves the queue."""
        async with self._desk.answering(context, is_private=False) as answer:
            assert context.guild is not None
            operator, asked_by = self._desk.operator, context.author.id
            if await operator.leave_queue(guild_id=context.guild.id, user_id=asked_by):
                left = text(Notice.ROOM_LEFT_QUEUE, locale_of(context))
                await answer.get_across(left)
                return
            await self._stop_call(context, answer)

    async def _stop(self, context: Context) -> None:
        async with self._desk.answering(context, is_private=False) as answer:
            await self._stop_call(context, answer)

    async def _stop_call(self, context: Context, answer: Answer) -> None:
        assert context.guild is not None
        call = await self._desk.stop_in(context.guild.id, context.author)
        await answer.get_across(stopped(call, locale_of(context)))

    def _status(self, context: Context) -> str:
        locale = locale_of(context)
        guild = context.guild
        call = self._desk.operator.call_in(guild.id) if guild else None
        began = call.session.started_at if call else None
        if call is None or began is None:
            return text(Notice.RECORD_NOTHING, locale)
        return text(
            Notice.RECORD_STATUS,
            locale,
            channel=f"<#{call.session.channel_id}>",
            minutes=int((timezone.now() - began).total_seconds() // 60),
            people=len(call.people()),
            who=f"<@{call.user_id}>",
        )


def _channel_of(member: Any) -> Voice:
    """Where they are. Raises VoiceError."""
    state: discord.VoiceState | None = getattr(member, "voice", None)
    if state is None or not isinstance(state.channel, Voice):
        raise VoiceError("not_in_voice", "You are in no voice channel.", status=409)
    return state.channel
