"""Undoing what a call did in a guild: nickname, channel status, private room.

The same for a call that ends and for what a dead process left. Each step is tried
whatever became of the others; NotFound is success; the rest is `deeds`' to remember.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import discord
import structlog
from channels.db import database_sync_to_async
from django.utils import timezone

from bot.discord import deeds
from bot.models import DiscordCall

log = structlog.get_logger(__name__)

STEP_WITHIN_S = 8.0
SURFACES_WITHIN = timedelta(seconds=60)
"""A room whose making was never answered may still appear."""
REASON = "Parley: the call is over"


async def undo(client: discord.Client, call: DiscordCall) -> bool:
    """Whether nothing of it is left."""
    done: list[str] = []
    errors: list[str] = []
    steps = {
        ("nickname", "nickname_before"): _nickname,
        ("status_on",): _status,
        ("room_id", "room_name"): _room,
    }
    for fields, step in steps.items():
        if not any(getattr(call, field) for field in fields):
            continue
        try:
            async with asyncio.timeout(STEP_WITHIN_S):
                is_gone = await step(client, call)
        except discord.NotFound:
            is_gone = True
        except (discord.DiscordException, OSError, TimeoutError) as e:
            errors.append(f"{fields[0]}: {said(e)}")
            continue
        if is_gone:
            done += fields
    await database_sync_to_async(_keep)(call, done, errors)
    if errors:
        log.warning("discord.not_undone", call=call.pk, guild=call.guild_id, why=errors)
    return not errors and all(not getattr(call, name) for name in _FIELDS)


_FIELDS = ("nickname", "status_on", "room_id", "room_name")


def said(error: BaseException) -> str:
    """What Discord answered, in a few words and without anybody's name."""
    status, code = getattr(error, "status", ""), getattr(error, "code", "")
    return " ".join(str(x) for x in (type(error).__name__, status, code) if x)


def _keep(call: DiscordCall, done: list[str], errors: list[str]) -> None:
    for field in done:
        setattr(call, field, "")
    deeds.undone(call.pk, what=done)
    if errors:
        deeds.failed(call.pk, error="; ".join(errors))


async def _nickname(client: discord.Client, call: DiscordCall) -> bool:
    guild = client.get_guild(int(call.guild_id))
    if guild is None:
        return False
    if guild.me.nick == call.nickname:  # else somebody has renamed us since
        await guild.me.edit(nick=call.nickname_before or None, reason=REASON)
    return True


async def _status(client: discord.Client, call: DiscordCall) -> bool:
    if call.status_on == call.room_id:
        return True  # goes with the room
    channel = client.get_channel(int(call.status_on))
    if isinstance(channel, discord.VoiceChannel):
        await channel.edit(status=None, reason=REASON)
    return True


async def _room(client: discord.Client, call: DiscordCall) -> bool:
    if call.room_id:
        room_id = int(call.room_id)
        room = client.get_channel(room_id) or await client.fetch_channel(room_id)
        await _delete(room)
        return True
    if (lost := _lost_room(client, call)) is not None:
        await _delete(lost)
        return True
    return timezone.now() - call.created_at > SURFACES_WITHIN


async def _delete(room: object) -> None:
    if isinstance(room, discord.abc.GuildChannel):
        await room.delete(reason=REASON)


def _lost_room(
    client: discord.Client, call: DiscordCall
) -> discord.VoiceChannel | None:
    """A room that Discord made without our hearing of it: ours by its name, whom it is
    for, and when it was made; a moderator's own room differs in one of them."""
    guild = client.get_guild(int(call.guild_id))
    for room in guild.voice_channels if guild else ():
        if room.name == call.room_name and is_private_to(
            room, int(call.user_id), since=call.created_at
        ):
            return room
    return None


def is_private_to(room: discord.VoiceChannel, user_id: int, *, since: datetime) -> bool:
    """Whether it looks like one that we make for this user, made after `since`, within
    what two clocks may differ."""
    named = {target.id for target in room.overwrites}
    wanted = {room.guild.id, room.guild.me.id, user_id}
    return named >= wanted and room.created_at >= since - SURFACES_WITHIN
