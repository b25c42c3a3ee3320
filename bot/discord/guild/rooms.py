"""Private rooms: a voice channel that one member and the bot can see."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import discord
import structlog
from django.conf import settings

from bot.discord.faults import FAULTS, fault, is_final, said
from bot.discord.guild.rights import ROOM, MissingPermissionsError, lacking
from bot.discord.guild.surfacing import surfaced
from sessions.names import clean

log = structlog.get_logger(__name__)

NAME_MAX = 100
CATEGORY_MAX = 50
"""Channels that Discord takes in one category."""
MADE_WITHIN_S = 8.0
CLOCKS_DIFFER = timedelta(seconds=60)
"""What Discord's clock and ours may."""


def name_for(user_name: str) -> str:
    return f"Voice-{clean(user_name, longest=NAME_MAX - 6)}"


def category_of(guild: discord.Guild) -> discord.CategoryChannel | None:
    """The setting's, by id or name, unless it is full."""
    wanted = settings.VOICE_CATEGORY
    for category in guild.categories if wanted else ():
        if wanted in (str(category.id), category.name):
            return category if len(category.channels) < CATEGORY_MAX else None
    return None


def require_rights(guild: discord.Guild) -> None:
    """Raises MissingPermissionsError. Asked of the whole server also where there is a
    category: an overwrite grants only what its maker has there."""
    category = category_of(guild)
    missing = lacking(guild.me.guild_permissions, *ROOM)
    if category is not None:
        there = category.permissions_for(guild.me)
        missing += [name for name in lacking(there, *ROOM) if name not in missing]
    if missing:
        raise MissingPermissionsError(missing)


async def make(
    guild: discord.Guild, member: discord.Member | discord.Object, *, name: str
) -> discord.VoiceChannel:
    """Raises VoiceError; then it may have been made all the same."""
    before = {room.id for room in guild.voice_channels}

    def found() -> discord.VoiceChannel | None:
        there = (room for room in guild.voice_channels if room.id not in before)
        return next((room for room in there if _is_for(room, member.id, name)), None)

    try:
        async with asyncio.timeout(MADE_WITHIN_S):
            return await _create(guild, member, name)
    except discord.Forbidden as e:
        require_rights(guild)  # which of them was taken just now, or in the category
        raise MissingPermissionsError(["manage_channels"]) from e
    except FAULTS as e:
        # Its answer was lost, or discord.py still waits behind it for the next.
        if is_final(e) or (made := await surfaced(found)) is None:
            raise fault(e) from e
        log.info("discord.room_surfaced", guild=guild.id, why=said(e))
        return made


def lost(
    guild: discord.Guild, user_id: int, *, name: str, since: datetime
) -> list[discord.VoiceChannel]:
    """Rooms that look like ours for this user, made after `since`: by their name, whom
    they are for, and their age. A moderator's own differ in one of them."""
    return [
        room
        for room in guild.voice_channels
        if _is_for(room, user_id, name) and room.created_at >= since - CLOCKS_DIFFER
    ]


def _is_for(room: discord.VoiceChannel, user_id: int, name: str) -> bool:
    named = {target.id for target in room.overwrites}
    return room.name == name and named >= {room.guild.id, room.guild.me.id, user_id}


async def _create(
    guild: discord.Guild, member: discord.Member | discord.Object, name: str
) -> discord.VoiceChannel:
    hidden = discord.PermissionOverwrite(view_channel=False, connect=False)
    seen = discord.PermissionOverwrite(view_channel=True, connect=True, speak=True)
    ours = discord.PermissionOverwrite(
        view_channel=True,
        connect=True,
        speak=True,
        move_members=True,
        manage_channels=True,
    )
    return await guild.create_voice_channel(
        name,
        category=category_of(guild),
        overwrites={guild.default_role: hidden, member: seen, guild.me: ours},
        reason="Parley: a private room was asked for",
    )
