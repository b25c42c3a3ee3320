"""What everybody sees while we record: our nickname, and the channel's status.

Put on here; taken off by `undo`, which also does it for a process that died.
"""

from __future__ import annotations

import asyncio

import discord
import structlog
from channels.db import database_sync_to_async

from bot.discord import deeds
from bot.discord.undo import said
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
    """Raises NicknameRefusedError, also when Discord does not answer."""
    me = guild.me
    before = me.nick or ""
    if before.startswith(MARK):
        before = ""  # left by somebody who died; ours was never that
    call.nickname, call.nickname_before = recording_name(before or me.name), before
    await database_sync_to_async(deeds.renamed)(
        call.pk, nickname=call.nickname, before=before
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            await me.edit(nick=call.nickname)
    except discord.Forbidden as e:
        call.nickname = call.nickname_before = ""
        await database_sync_to_async(deeds.renamed)(call.pk, nickname="", before="")
        raise NicknameRefusedError from e
    except (discord.DiscordException, OSError, TimeoutError) as e:
        raise NicknameRefusedError from e


async def put_on_status(
    channel: discord.abc.GuildChannel, call: DiscordCall, *, text: str
) -> None:
    """A second sign, where we may: nothing depends on it."""
    if not isinstance(channel, discord.VoiceChannel):
        return
    if not channel.permissions_for(channel.guild.me).set_voice_channel_status:
        return
    call.status_on = str(channel.id)
    await database_sync_to_async(deeds.status_set)(call.pk, channel_id=channel.id)
    try:
        async with asyncio.timeout(WITHIN_S):
            await channel.edit(status=text[:STATUS_MAX])
    except (discord.DiscordException, OSError, TimeoutError) as e:
        log.info("discord.no_status", channel=channel.id, why=said(e))
