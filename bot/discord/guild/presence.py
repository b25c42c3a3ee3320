"""What everybody sees while we record: our nickname, and the channel's status.

Put on here; taken off by `undo`, which also does it for a process that died.
"""

from __future__ import annotations

import asyncio

import discord
import structlog
from channels.db import database_sync_to_async

from bot.discord.faults import FAULTS, fault, is_final, said
from bot.discord.guild import deeds
from bot.discord.guild.surfacing import surfaced
from bot.discord.unbroken import insist
from bot.models import DiscordCall
from sessions.errors import VoiceError

log = structlog.get_logger(__name__)

MARK = "![RECORDING] "
"""As the members of many guilds know it from Craig; `!` sorts it to the top."""
NICKNAME_MAX = 32
STATUS_MAX = 500
WITHIN_S = 5.0


class NicknameRefusedError(VoiceError):
    def __init__(self) -> None:
        message = "The bot may not change its nickname: nobody could see it records."
        super().__init__("nickname_refused", message, status=403)


def recording_name(name: str) -> str:
    return (MARK + name.removeprefix(MARK))[:NICKNAME_MAX]


async def put_on_name(guild: discord.Guild, call: DiscordCall) -> None:
    """Raises VoiceError: NicknameRefusedError where Discord does not allow it."""
    me = guild.me
    if call.nickname and me.nick == call.nickname:
        return  # of a call that goes on
    try:
        async with asyncio.timeout(WITHIN_S):
            before = await _name_before(guild)
    except FAULTS as e:
        raise fault(e) from e
    call.nickname, call.nickname_before = recording_name(before or me.name), before
    renamed = database_sync_to_async(deeds.renamed)
    await renamed(call, nickname=call.nickname, before=before)
    try:
        async with asyncio.timeout(WITHIN_S):
            await me.edit(nick=call.nickname)
    except discord.Forbidden as e:
        if not (me.nick or "").startswith(MARK):  # else there is one to be taken off
            call.nickname = call.nickname_before = ""
            await database_sync_to_async(deeds.not_renamed)(call.pk)
        raise NicknameRefusedError from e
    except FAULTS as e:
        # It may only be the answer that was lost.
        if is_final(e) or not await surfaced(lambda: guild.me.nick == call.nickname):
            raise fault(e) from e


async def _name_before(guild: discord.Guild) -> str:
    """Our nickname while we do not record; "" is none. Raises FAULTS: a guess would
    lose it for good."""
    nick = guild.me.nick or ""
    if not nick.startswith(MARK):
        return nick
    left = await database_sync_to_async(deeds.name_left)(guild.id)
    if left is not None:
        return left.nickname_before
    # Taken off a moment ago, and the gateway has not said so yet.
    nick = (await guild.fetch_member(guild.me.id)).nick or ""
    return "" if nick.startswith(MARK) else nick


async def put_on_status(
    channel: discord.abc.GuildChannel, call: DiscordCall, *, text: str
) -> None:
    """A second sign, where we may: nothing depends on it."""
    if not isinstance(channel, discord.VoiceChannel):
        return
    if not channel.permissions_for(channel.guild.me).set_voice_channel_status:
        return
    call.status_on = str(channel.id)
    keep = database_sync_to_async(deeds.status_set)
    await insist(lambda: keep(call.pk, channel_id=channel.id))
    try:
        async with asyncio.timeout(WITHIN_S):
            await channel.edit(status=text[:STATUS_MAX])
    except FAULTS as e:
        log.info("discord.no_status", channel=channel.id, why=said(e))
