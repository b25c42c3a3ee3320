"""What Discord is made of, and how its API v10 writes it down.

Plain data with a `json()` each. What changes them, and who is told, is `world`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fakecord import permissions

Json = dict[str, Any]
TEXT, VOICE, CATEGORY, STAGE = 0, 2, 4, 13
"""Types of channels."""
JOINED_AT = "2026-01-01T00:00:00+00:00"


@dataclass(slots=True)
class User:
    id: int
    name: str
    bot: bool = False

    def json(self) -> Json:
        return {
            "id": str(self.id),
            "username": self.name,
            "global_name": self.name,
            "discriminator": "0",
            "avatar": None,
            "bot": self.bot,
            "public_flags": 0,
        }


@dataclass(slots=True)
class Role:
    id: int
    name: str
    permissions: int
    position: int = 0

    def json(self) -> Json:
        colors = {"primary_color": 0, "secondary_color": None, "tertiary_color": None}
        return {
            "id": str(self.id),
            "name": self.name,
            "permissions": str(self.permissions),
            "position": self.position,
            "color": 0,
            "colors": colors,
            "hoist": False,
            "managed": False,
            "mentionable": False,
            "flags": 0,
        }


@dataclass(slots=True)
class Channel:
    """`options` holds what a client may set: topic, user_limit, overwrites, …"""

    id: int
    guild_id: int
    type: int
    name: str
    position: int = 0
    status: str = ""
    options: Json = field(default_factory=dict)

    @property
    def is_vocal(self) -> bool:
        return self.type in (VOICE, STAGE)

    @property
    def parent_id(self) -> int | None:
        """Its category, if it is in one."""
        parent = self.options.get("parent_id")
        return int(parent) if parent else None

    @property
    def overwrites(self) -> dict[int, Json]:
        """By role or member: what is allowed and denied here, as Discord writes it."""
        given = self.options.get("permission_overwrites") or ()
        return {
            int(one["id"]): {
                "id": str(one["id"]),
                "type": int(one.get("type", 0)),
                "allow": str(one.get("allow") or 0),
                "deny": str(one.get("deny") or 0),
            }
            for one in given
        }

    def json(self) -> Json:
        overwrites = list(self.overwrites.values())
        base: Json = {
            "id": str(self.id),
            "guild_id": str(self.guild_id),
            "type": self.type,
            "name": self.name,
            "position": self.position,
            "parent_id": None,
            "nsfw": False,
            "rate_limit_per_user": 0,
            "topic": None,
            "last_message_id": None,
            "flags": 0,
        }
        if self.is_vocal:
            base |= {"bitrate": 64_000, "user_limit": 0, "rtc_region": None}
        return base | self.options | {"permission_overwrites": overwrites}


@dataclass(slots=True)
class VoiceState:
    """Where somebody is, and how: one per member who is in voice."""

    channel_id: int
    session_id: str
    self_mute: bool = False
    self_deaf: bool = False
    mute: bool = False
    deaf: bool = False
    suppress: bool = False


@dataclass(slots=True)
class Member:
    user: User
    guild_id: int
    roles: list[int] = field(default_factory=list)
    nick: str | None = None
    voice: VoiceState | None = None

    @property
    def id(self) -> int:
        return self.user.id

    @property
    def shown_as(self) -> str:
        return self.nick or self.user.name

    def json(self) -> Json:
        voice = self.voice
        return {
            "user": self.user.json(),
            "nick": self.nick,
            "roles": [str(role) for role in self.roles],
            "avatar": None,
            "joined_at": JOINED_AT,
            "premium_since": None,
            "deaf": bool(voice and voice.deaf),
            "mute": bool(voice and voice.mute),
            "pending": False,
            "flags": 0,
            "communication_disabled_until": None,
        }

    def voice_json(self, *, session_id: str = "") -> Json:
        """The voice state, where it is None as one who has just left."""
        voice = self.voice
        state = voice or VoiceState(0, session_id)
        return {
            "guild_id": str(self.guild_id),
            "channel_id": str(voice.channel_id) if voice else None,
            "user_id": str(self.id),
            "member": self.json(),
            "session_id": state.session_id,
            "deaf": state.deaf,
            "mute": state.mute,
            "self_deaf": state.self_deaf,
            "self_mute": state.self_mute,
            "self_video": False,
            "suppress": state.suppress,
            "request_to_speak_timestamp": None,
        }


@dataclass(slots=True)
class Guild:
    id: int
    name: str
    owner_id: int
    roles: dict[int, Role] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    members: dict[int, Member] = field(default_factory=dict)
    available: bool = True
    """False: an outage; nothing is heard of it."""

    def voiced(self, channel_id: int) -> list[Member]:
        """Who is in a voice channel."""
        return [
            member
            for member in self.members.values()
            if member.voice and member.voice.channel_id == channel_id
        ]

    def children(self, category_id: int) -> list[Channel]:
        """The channels in a category."""
        return [c for c in self.channels.values() if c.parent_id == category_id]

    def permissions(self, member: Member, channel: Channel | None = None) -> int:
        """What the member may do in the guild, or in a channel of it."""
        return permissions.of(self, member, channel)

    def json(self, *, seen_by: int) -> Json:
        """As GUILD_CREATE tells it a bot without the members intent."""
        told = [m for m in self.members.values() if m.voice or m.id == seen_by]
        return {
            "id": str(self.id),
            "name": self.name,
            "owner_id": str(self.owner_id),
            "unavailable": False,
            "member_count": len(self.members),
            "large": False,
            "joined_at": JOINED_AT,
            "preferred_locale": "en-US",
            "features": [],
            "roles": [role.json() for role in self.roles.values()],
            "channels": [channel.json() for channel in self.channels.values()],
            "members": [member.json() for member in told],
            "voice_states": [m.voice_json() for m in told if m.voice],
            "threads": [],
            "presences": [],
            "stage_instances": [],
            "guild_scheduled_events": [],
            "emojis": [],
            "stickers": [],
        }
