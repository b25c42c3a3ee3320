"""What a member may do: the bits of permissions, and how they come about in a channel.

Discord's order: everyone's role, the member's roles, then the channel's overwrites for
everyone, for the roles, for the member; then what follows from what is lacking.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fakecord.entities import Channel, Guild, Json, Member

ADMINISTRATOR, MANAGE_CHANNELS = 1 << 3, 1 << 4
VIEW, SEND, MANAGE_MESSAGES = 1 << 10, 1 << 11, 1 << 13
EMBED, ATTACH, READ_HISTORY = 1 << 14, 1 << 15, 1 << 16
CONNECT, SPEAK = 1 << 20, 1 << 21
MUTE_MEMBERS, DEAFEN_MEMBERS, MOVE_MEMBERS = 1 << 22, 1 << 23, 1 << 24
CHANGE_NICKNAME, MANAGE_ROLES = 1 << 26, 1 << 28
USE_COMMANDS, SET_VOICE_STATUS = 1 << 31, 1 << 48
ALL = (1 << 53) - 1

VOCAL = (
    (1 << 8)  # priority speaker
    | (1 << 9)  # stream
    | CONNECT
    | SPEAK
    | MUTE_MEMBERS
    | DEAFEN_MEMBERS
    | MOVE_MEMBERS
    | (1 << 25)  # without push-to-talk
    | (1 << 39)  # activities
    | (1 << 42)  # soundboard
    | (1 << 45)  # sounds from elsewhere
    | SET_VOICE_STATUS
)
"""Those that mean something in voice channels alone."""
WRITTEN = (1 << 12) | EMBED | ATTACH | (1 << 17)
"""Those that nobody has who may not send: also reading aloud, and @everyone."""


def of(guild: Guild, member: Member, channel: Channel | None = None) -> int:
    """What the member may do in the guild, or in one of its channels."""
    if member.id == guild.owner_id:
        return ALL
    found = guild.roles[guild.id].permissions
    for role in member.roles:
        found |= guild.roles[role].permissions
    if found & ADMINISTRATOR:
        return ALL
    if channel is None:
        return found
    return _implied(channel, _overwritten(found, member, channel.overwrites))


def allows(found: int, needs: int) -> bool:
    """Whether all the bits needed are there."""
    return not needs & ~found


def _overwritten(found: int, member: Member, overwrites: dict[int, Json]) -> int:
    found = _changed(found, overwrites.get(member.guild_id))
    allow = deny = 0
    for role in member.roles:
        if one := overwrites.get(role):
            allow |= int(one["allow"])
            deny |= int(one["deny"])
    found = found & ~deny | allow
    return _changed(found, overwrites.get(member.id))


def _changed(found: int, overwrite: Json | None) -> int:
    if overwrite is None:
        return found
    return found & ~int(overwrite["deny"]) | int(overwrite["allow"])


def _implied(channel: Channel, found: int) -> int:
    """Without the first, the others are worth nothing."""
    if not found & VIEW:
        return 0
    if not found & SEND:
        found &= ~WRITTEN
    if channel.is_vocal and not found & CONNECT:
        found &= ~(VOCAL | MANAGE_CHANNELS | MANAGE_ROLES)
    return found
