"""Undoing what a call did in a guild: nickname, channel status, private room.

The same for a call that ends and for what a dead process left. Each step is tried
whatever became of the others; NotFound is success; the rest is `deeds`' to remember.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import discord
import structlog
from channels.db import database_sync_to_async
from django.utils import timezone

from bot.discord.faults import FAULTS, said
from bot.discord.guild import deeds, rooms
from bot.models import DiscordCall

log = structlog.get_logger(__name__)

STEP_WITHIN_S = 8.0
SURFACES_WITHIN = timedelta(seconds=60)
"""A room whose making was never answered may still appear."""
REASON = "Parley: the call is over"


async def undo(client: discord.Client, call: DiscordCall) -> bool:
    """Whether nothing of it is left."""
    steps = [
        _tried(("nickname", "nickname_before"), _nickname(client, call)),
        _tried(("status_on",), _status(client, call)),
        _tried(("room_id", "room_name"), _room(client, call)),
    ]
    # At once: an answer that does not come holds up no other.
    tried = await asyncio.gather(*steps)
    done = [field for one in tried for field in one.done]
    errors = [one.error for one in tried if one.error]
    await database_sync_to_async(_keep)(call, done, errors)
    if errors:
        log.warning("discord.not_undone", call=call.pk, guild=call.guild_id, why=errors)
    return not errors and all(not getattr(call, name) for name in _FIELDS)


async def take_off_status(client: discord.Client, call: DiscordCall) -> None:
    """Before we leave: who is not in a channel has to manage it for that. What fails
    is tried again by `undo`."""
    tried = await _tried(("status_on",), _status(client, call))
    if tried.done:
        call.status_on = ""


@dataclass(frozen=True, slots=True)
class _Tried:
    """The fields of a deed that name nothing any more, or why they still do."""

    done: tuple[str, ...] = ()
    error: str = ""


async def _tried(fields: tuple[str, ...], step: Coroutine[Any, Any, bool]) -> _Tried:
    try:
        async with asyncio.timeout(STEP_WITHIN_S):
            is_gone = await step
    except discord.NotFound:
        is_gone = True
    except FAULTS as e:
        return _Tried(error=f"{fields[0]}: {said(e)}")
    return _Tried(done=fields) if is_gone else _Tried()


_FIELDS = ("nickname", "status_on", "room_id", "room_name")


def _keep(call: DiscordCall, done: list[str], errors: list[str]) -> None:
    for field in done:
        setattr(call, field, "")
    deeds.undone(call.pk, what=done)
    if errors:
        deeds.failed(call.pk, error="; ".join(errors))


async def _nickname(client: discord.Client, call: DiscordCall) -> bool:
    if not call.nickname:
        return True
    guild = client.get_guild(int(call.guild_id))
    if guild is None:
        return True  # thrown out: nobody is called anything there
    # Ours, or the one before: then it was told us a moment ago, or is yet to be.
    # Another: somebody has renamed us since.
    if (guild.me.nick or "") in (call.nickname, call.nickname_before):
        await guild.me.edit(nick=call.nickname_before or None, reason=REASON)
    return True


async def _status(client: discord.Client, call: DiscordCall) -> bool:
    if not call.status_on or call.status_on == call.room_id:
        return True  # goes with the room
    channel = client.get_channel(int(call.status_on))
    if isinstance(channel, discord.VoiceChannel):
        await channel.edit(status=None, reason=REASON)
    return True


async def _room(client: discord.Client, call: DiscordCall) -> bool:
    if not call.room_id and not call.room_name:
        return True
    # Before the database is asked: whose call is not in it has made no room by now.
    guild = client.get_guild(int(call.guild_id))
    lost = _lost_rooms(guild, call) if guild is not None else []
    if call.room_id:
        await _delete_by_id(client, int(call.room_id))
    if lost and not await _deleted(lost, call):
        return False
    surfaced = guild is not None and not guild.unavailable
    is_over = timezone.now() - call.created_at > SURFACES_WITHIN
    return bool(call.room_id) or (surfaced and is_over)


def _lost_rooms(guild: discord.Guild, call: DiscordCall) -> list[discord.VoiceChannel]:
    """What Discord made without our hearing of it: it may be more than one, where
    discord.py asked again."""
    if not call.room_name:
        return []
    user_id = int(call.user_id or 0)
    found = rooms.lost(guild, user_id, name=call.room_name, since=call.created_at)
    return [room for room in found if str(room.id) != call.room_id]


async def _deleted(lost: list[discord.VoiceChannel], call: DiscordCall) -> bool:
    """But for rooms of calls that live; False: one of them is just being made."""
    kept = await database_sync_to_async(deeds.namesakes)(call)
    if "" in kept:
        return False
    for room in lost:
        if str(room.id) not in kept:
            await _delete(room)
    return True


async def _delete_by_id(client: discord.Client, room_id: int) -> None:
    with contextlib.suppress(discord.NotFound):
        room = client.get_channel(room_id) or await client.fetch_channel(room_id)
        await _delete(room)


async def _delete(room: object) -> None:
    if isinstance(room, discord.abc.GuildChannel):
        with contextlib.suppress(discord.NotFound):
            await room.delete(reason=REASON)
