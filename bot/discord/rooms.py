"""Private rooms: a voice channel that one member and the bot can see."""

from __future__ import annotations

import asyncio

import discord
from django.conf import settings

from bot.discord.faults import FAULTS, fault
from bot.discord.rights import ROOM, require
from sessions.names import clean

NAME_MAX = 100
MADE_WITHIN_S = 10.0


def name_for(user_name: str) -> str:
    return f"Voice-{clean(user_name, longest=NAME_MAX - 6)}"


def category_of(guild: discord.Guild) -> discord.CategoryChannel | None:
    """The setting's, by id or name."""
    wanted = settings.VOICE_CATEGORY
    for category in guild.categories if wanted else ():
        if wanted in (str(category.id), category.name):
            return category
    return None


def require_rights(guild: discord.Guild) -> None:
    """Raises MissingPermissionsError."""
    category = category_of(guild)
    me = guild.me
    require(category.permissions_for(me) if category else me.guild_permissions, *ROOM)


async def make(
    guild: discord.Guild, member: discord.Member | discord.Object, *, name: str
) -> discord.VoiceChannel:
    """Raises VoiceError; then it may have been made all the same."""
    hidden = discord.PermissionOverwrite(view_channel=False, connect=False)
    seen = discord.PermissionOverwrite(view_channel=True, connect=True, speak=True)
    ours = discord.PermissionOverwrite(
        view_channel=True,
        connect=True,
        speak=True,
        move_members=True,
        manage_channels=True,
    )
    try:
        async with asyncio.timeout(MADE_WITHIN_S):
            return await guild.create_voice_channel(
                name,
                category=category_of(guild),
                overwrites={guild.default_role: hidden, member: seen, guild.me: ours},
                reason="Parley: a private room was asked for",
            )
    except FAULTS as e:
        raise fault(e) from e
