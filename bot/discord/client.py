"""The Discord client of a bot process: its intents, its commands, and who is told of
what happens. Decides nothing itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

import discord
import structlog
from channels.db import database_sync_to_async
from discord.ext import commands
from django.conf import settings
from django.utils import timezone

from bot.discord import gate, libopus
from bot.discord.commands.archive import Archive
from bot.discord.commands.calls import Calls
from bot.discord.commands.managing import Managing
from bot.discord.commands.people import People
from bot.discord.conversation import Shared
from bot.discord.desk import Desk
from bot.discord.eraser import Eraser
from bot.discord.faults import FAULTS
from bot.discord.notices import Notice, text
from bot.discord.operator import Operator
from bot.discord.optouts import Admission
from bot.discord.recovery import recover
from bot.discord.sweep import Sweep
from bot.discord.text.answer import Answer
from bot.discord.text.buttons import OptOutButton, StopButton
from bot.discord.text.excuses import told
from bot.discord.text.translation import Descriptions
from bot.voice.responder.port import Listener, Responder
from bot.voice.tts.speaker import Speaker
from sessions.background import cancel_and_wait, spawn
from sessions.errors import VoiceError

log = structlog.get_logger(__name__)

RATE_LIMIT_MAX_S = 30.0
"""Longer waits are told to whoever asked, not slept through (discord.py's least)."""
REFRESH_EVERY_S = 30.0
"""Opt-outs made in other processes are held after so long."""


class ParleyBot(commands.AutoShardedBot):
    """Logs in with `start`; `shut_down` ends its calls before it is closed."""

    def __init__(
        self,
        *,
        responder: Responder,
        speaker: Speaker,
        connector: Any = None,
        guild_ready_timeout: float = 2.0,
        refused: Callable[[str], None] = lambda why: None,
    ) -> None:
        """`connector`: aiohttp's, where another road to Discord is taken. `refused` is
        told why no voice connection will ever be."""
        prefix = settings.COMMAND_PREFIX
        super().__init__(
            command_prefix=prefix or commands.when_mentioned,
            intents=intents(reads_messages=bool(prefix)),
            help_command=None,
            connector=connector,
            guild_ready_timeout=guild_ready_timeout,
            max_ratelimit_timeout=RATE_LIMIT_MAX_S,
            shard_ids=settings.SHARD_IDS or None,  # type: ignore[arg-type]
            shard_count=settings.SHARD_COUNT or None,
            allowed_mentions=discord.AllowedMentions.none(),
        )
        self.admission = Admission(settings.VOICE_WHITELIST)
        self.operator = Operator(
            Shared(
                client=self,
                responder=responder,
                speaker=speaker,
                admission=self.admission,
                answers=not isinstance(responder, Listener),
            ),
            holder=holder(),
        )
        self.desk = Desk(self.operator, self.admission)
        self.sweep = Sweep(self)
        self.eraser = Eraser()
        self.ready_at: datetime | None = None
        """When it was ready for the first time."""
        self._refused = refused
        self._tasks: list[asyncio.Task[None]] = []
        self._is_recovered = self._is_closing = False

    async def setup_hook(self) -> None:
        gate.mend(self, within_s=RATE_LIMIT_MAX_S)
        libopus.load()
        cogs = (
            Calls(self.desk),
            Archive(self.desk),
            People(self.desk, self.eraser),
            Managing(self),
        )
        for cog in cogs:
            await self.add_cog(cog)
        self.add_dynamic_items(StopButton, OptOutButton)
        await self.tree.set_translator(Descriptions())
        await database_sync_to_async(self.admission.refresh)()

    async def on_ready(self) -> None:
        """Also after each new session of the gateway."""
        log.info("discord.ready", guilds=len(self.guilds))
        if not self._is_recovered:
            self._is_recovered = True
            self.ready_at = timezone.now()
            await recover(self.operator)
            if self._is_closing:
                return
            self._tasks = [
                spawn(self.operator.run(), name="discord.queue"),
                spawn(self.sweep.run(), name="discord.sweep"),
                spawn(self.eraser.run(), name="discord.eraser"),
                spawn(self._refresh(), name="discord.optouts"),
            ]
        self.operator.gateway_changed()

    async def on_resumed(self) -> None:
        self.operator.gateway_changed()

    async def on_voice_state_update(
        self,
        member: discord.Member,
        before: discord.VoiceState,
        after: discord.VoiceState,
    ) -> None:
        self.operator.voice_state_changed(member, before, after)

    async def on_guild_channel_delete(self, channel: discord.abc.GuildChannel) -> None:
        self.operator.channel_deleted(channel)

    async def on_voice_refused(self, why: str) -> None:
        """A link's event, not Discord's."""
        self._refused(why)

    async def on_guild_remove(self, guild: discord.Guild) -> None:
        self.operator.guild_removed(guild)

    async def on_command_error(
        self, context: commands.Context[Any], error: commands.CommandError
    ) -> None:
        """What a command's own `answering` never saw."""
        locale = str(context.interaction.locale) if context.interaction else "en"
        content = refusal(error, locale)
        if content is None:
            log.error("discord.command", command=str(context.command), exc_info=error)
            notice, values = told(None, locale=locale)
            content = text(notice, locale, **values)
        if context.interaction is None and context.command is None:
            return  # no command of ours
        # Not `context.send`: where two clocks differ, that tells the whole channel.
        answer = Answer(context, is_private=True)
        try:
            answer.defer()
            await answer.show(content)
        except FAULTS as e:
            log.info("discord.not_refused", why=type(e).__name__)

    async def shut_down(self) -> None:
        """End every call in order, and log out."""
        self._is_closing = True
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            await cancel_and_wait(task)
        await self.operator.shut_down()
        await self.close()

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_EVERY_S)
            try:
                await database_sync_to_async(self.admission.refresh)()
                for call in self.operator.calls:
                    call.note_unrecorded(*call.people())
            except Exception:
                # A database that is away: the list in memory is still held.
                log.warning("discord.optouts_unread", exc_info=True)


def intents(*, reads_messages: bool) -> discord.Intents:
    """What needs no privilege; and reading messages, where a prefix is set."""
    return discord.Intents(
        guilds=True,
        voice_states=True,
        guild_messages=True,  # who wrote below our lines, not what
        message_content=reads_messages,
    )


def holder() -> str:
    """The name of this process in the queue: the same when it starts again."""
    shards = "-".join(map(str, settings.SHARD_IDS)) or "all"
    return f"discord-{shards}"


def refusal(error: Exception, locale: str) -> str | None:
    """Why discord.py did not let a command run; None: it is no refusal."""
    match error:
        case commands.CommandOnCooldown(retry_after=wait_s):
            seconds = max(round(wait_s), 1)
            return text(Notice.ERROR_COOLDOWN, locale, seconds=seconds)
        case commands.NoPrivateMessage():
            return text(Notice.ERROR_NOT_IN_GUILD, locale)
        case commands.MissingPermissions():
            return text(Notice.ERROR_MANAGERS_ONLY, locale)
        case commands.UserInputError() | commands.CommandNotFound():
            return text(Notice.HELP_TEXT, locale)
        case (
            commands.HybridCommandError(original=inner)
            | commands.CommandInvokeError(original=inner)
        ) if isinstance(inner, VoiceError):
            notice, values = told(inner, locale=locale)
            return text(notice, locale, **{"channel": "", **values})
    return None
