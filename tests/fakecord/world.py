"""The world behind the fake: guilds, channels, members and voice states.

Everything that changes, changes here, by a verb, and the listeners are told: those of
the events what the gateway will say, those of the moves who went where in voice. It
knows no network and no loop, and the time only to number things by it. What is written
lies in its `mail`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from fakecord import permissions as may
from fakecord.entities import (
    CATEGORY,
    STAGE,
    TEXT,
    VOICE,
    Channel,
    Guild,
    Json,
    Member,
    Role,
    User,
    VoiceState,
)
from fakecord.mail import Mail

EPOCH_MS = 1_420_070_400_000
"""Discord's: a snowflake's upper bits are the milliseconds since."""
EVERYONE = (
    may.VIEW
    | may.SEND
    | may.READ_HISTORY
    | may.CONNECT
    | may.SPEAK
    | (1 << 25)  # without push-to-talk
    | may.USE_COMMANDS
)
BOT = (
    may.MANAGE_CHANNELS
    | may.VIEW
    | may.SEND
    | may.EMBED
    | may.ATTACH
    | may.CONNECT
    | may.SPEAK
    | may.MOVE_MEMBERS
    | may.CHANGE_NICKNAME
    | may.SET_VOICE_STATUS
)


@dataclass(frozen=True, slots=True)
class Event:
    """One dispatch of the main gateway."""

    name: str
    data: Json

    @property
    def guild_id(self) -> int | None:
        """None: it is about no guild, as a letter to one user."""
        about = self.data.get("guild_id")
        if about is None and self.name.startswith("GUILD_"):
            about = self.data["id"]
        return int(about) if about is not None else None


@dataclass(frozen=True, slots=True)
class Moved:
    """Somebody's voice went from a channel to another; None is no channel."""

    member: Member
    before: int | None
    after: int | None
    itself: bool
    """False: a moderator did it, or the channel went away."""


@dataclass(slots=True)
class World:
    """All there is. `bot` is the account that logs in."""

    guilds: dict[int, Guild] = field(default_factory=dict)
    shards: int = 1
    """How many of them Discord advises the bot to have."""
    max_concurrency: int = 1
    """How many shards may log in at once."""
    on_event: list[Callable[[Event], None]] = field(default_factory=list)
    on_moved: list[Callable[[Moved], None]] = field(default_factory=list)
    clock: Callable[[], float] = time.time
    _last_id: int = 0
    bot: User = field(init=False)
    mail: Mail = field(init=False)

    def __post_init__(self) -> None:
        self.bot = User(self.new_id(), "Parley", bot=True)
        self.mail = Mail(
            new_id=self.new_id,
            tell=self._tell,
            guild_of=self._guild_of,
            user_of=self.user,
        )

    def new_id(self) -> int:
        """A snowflake: discord.py reads from it when a thing was made."""
        now = (int(self.clock() * 1000) - EPOCH_MS) << 22
        self._last_id = max(now, self._last_id + 1)
        return self._last_id

    def _tell(self, name: str, data: Json) -> None:
        for listener in self.on_event:
            listener(Event(name, data))

    # guilds and who is in them

    def add_guild(self, name: str = "Guild", *, bot_permissions: int = BOT) -> Guild:
        """A guild with an owner and the bot in it."""
        owner = User(self.new_id(), "Owner")
        guild = Guild(self.new_id(), name, owner.id)
        guild.roles[guild.id] = Role(guild.id, "@everyone", EVERYONE)
        role = Role(self.new_id(), "Parley", bot_permissions, position=1)
        guild.roles[role.id] = role
        guild.members[owner.id] = Member(owner, guild.id)
        guild.members[self.bot.id] = Member(self.bot, guild.id, [role.id])
        self.guilds[guild.id] = guild
        self._tell("GUILD_CREATE", guild.json(seen_by=self.bot.id))
        return guild

    def remove_guild(self, guild: Guild) -> None:
        """The bot is thrown out of the guild."""
        self._move(guild.members[self.bot.id], None, itself=False)
        del self.guilds[guild.id]
        self._tell("GUILD_DELETE", {"id": str(guild.id)})

    def take_down(self, guild: Guild) -> None:
        """An outage: the guild is not there, until it is brought back."""
        guild.available = False
        self._tell("GUILD_DELETE", {"id": str(guild.id), "unavailable": True})

    def bring_back(self, guild: Guild) -> None:
        guild.available = True
        self._tell("GUILD_CREATE", guild.json(seen_by=self.bot.id))

    def allow(self, guild: Guild, permissions: int) -> None:
        """What the bot's role may do from now on."""
        role = guild.roles[guild.members[self.bot.id].roles[0]]
        role.permissions = permissions
        data = {"guild_id": str(guild.id), "role": role.json()}
        self._tell("GUILD_ROLE_UPDATE", data)

    def add_role(self, guild: Guild, name: str, permissions: int = 0) -> Role:
        """A role that nobody has yet."""
        role = Role(self.new_id(), name, permissions, position=len(guild.roles))
        guild.roles[role.id] = role
        data = {"guild_id": str(guild.id), "role": role.json()}
        self._tell("GUILD_ROLE_CREATE", data)
        return role

    def give(self, member: Member, role: Role) -> None:
        member.roles.append(role.id)
        self._tell("GUILD_MEMBER_UPDATE", self._with_guild(member))

    def user(self, user_id: int) -> User | None:
        """Somebody in any of the guilds."""
        for guild in self.guilds.values():
            if member := guild.members.get(user_id):
                return member.user
        return None

    def add_member(self, guild: Guild, name: str) -> Member:
        member = Member(User(self.new_id(), name), guild.id)
        guild.members[member.id] = member
        self._tell("GUILD_MEMBER_ADD", self._with_guild(member))
        return member

    def rename(self, member: Member, nick: str | None) -> None:
        member.nick = nick or None
        self._tell("GUILD_MEMBER_UPDATE", self._with_guild(member))

    @staticmethod
    def _with_guild(member: Member) -> Json:
        return {"guild_id": str(member.guild_id), **member.json()}

    def me(self, guild_id: int) -> Member:
        """The bot, as a member."""
        return self.guilds[guild_id].members[self.bot.id]

    # channels

    def add_text(self, guild: Guild, name: str = "general") -> Channel:
        return self.add_channel(guild, name, TEXT)

    def add_voice(
        self, guild: Guild, name: str = "Voice", *, limit: int = 0
    ) -> Channel:
        return self.add_channel(guild, name, VOICE, {"user_limit": limit})

    def add_stage(self, guild: Guild, name: str = "Stage") -> Channel:
        """A stage: its voice is not end-to-end encrypted."""
        return self.add_channel(guild, name, STAGE)

    def add_category(self, guild: Guild, name: str = "Category") -> Channel:
        return self.add_channel(guild, name, CATEGORY)

    def add_channel(
        self, guild: Guild, name: str, type_: int, options: Json | None = None
    ) -> Channel:
        place = len(guild.channels)
        channel = Channel(self.new_id(), guild.id, type_, name, place)
        channel.options.update(options or {})
        guild.channels[channel.id] = channel
        self._tell("CHANNEL_CREATE", channel.json())
        return channel

    def channel(self, channel_id: int) -> Channel | None:
        for guild in self.guilds.values():
            if found := guild.channels.get(channel_id):
                return found
        return None

    def _guild_of(self, channel_id: int) -> int | None:
        found = self.channel(channel_id)
        return found.guild_id if found else None

    def edit_channel(self, channel: Channel, options: Json) -> None:
        rest = dict(options)
        channel.name = rest.pop("name", channel.name)
        channel.options.update(rest)
        self._tell("CHANNEL_UPDATE", channel.json())

    def overwrite(
        self, channel: Channel, target: Role | Member, *, allow: int = 0, deny: int = 0
    ) -> None:
        """Set what a role or a member may do in this channel, other than elsewhere."""
        one = {
            "id": str(target.id),
            "type": int(isinstance(target, Member)),
            "allow": str(allow),
            "deny": str(deny),
        }
        kept = channel.overwrites | {target.id: one}
        self.edit_channel(channel, {"permission_overwrites": list(kept.values())})

    def hide(self, channel: Channel, *but: Member) -> None:
        """Nobody sees the channel nor gets into it, but these."""
        inside = may.VIEW | may.CONNECT
        everyone = self.guilds[channel.guild_id].roles[channel.guild_id]
        self.overwrite(channel, everyone, deny=inside)
        for member in but:
            self.overwrite(channel, member, allow=inside)

    def set_status(self, channel: Channel, status: str) -> None:
        channel.status = status
        guild, id_ = str(channel.guild_id), str(channel.id)
        data = {"guild_id": guild, "id": id_, "status": status}
        self._tell("VOICE_CHANNEL_STATUS_UPDATE", data)

    def delete_channel(self, channel: Channel) -> None:
        """The channel goes, and whoever speaks in it is out."""
        guild = self.guilds[channel.guild_id]
        for member in guild.voiced(channel.id):
            self._move(member, None, itself=False)
        for child in guild.children(channel.id):
            self.edit_channel(child, {"parent_id": None})
        del guild.channels[channel.id]
        self._tell("CHANNEL_DELETE", channel.json())

    # voice

    def join(
        self,
        member: Member,
        channel: Channel,
        *,
        session_id: str = "",
        self_mute: bool = False,
        self_deaf: bool = False,
    ) -> bool:
        """A member goes into a channel by itself; False: it may not, or it is full."""
        if not self.admits(member, channel):
            return False
        session = session_id or f"session-{member.id}"
        state = VoiceState(channel.id, session, self_mute, self_deaf)
        if before := member.voice:  # what a moderator has done to it stays done
            state.mute, state.deaf = before.mute, before.deaf
        self._move(member, state, itself=True)
        return True

    def admits(self, member: Member, channel: Channel) -> bool:
        """Whether the channel would let the member in."""
        guild = self.guilds[member.guild_id]
        allowed = guild.permissions(member, channel)
        if not may.allows(allowed, may.VIEW | may.CONNECT):
            return False
        inside = member.voice is not None and member.voice.channel_id == channel.id
        limit = channel.options.get("user_limit") or 0
        full = 0 < limit <= len(guild.voiced(channel.id))
        return inside or not full or may.allows(allowed, may.MOVE_MEMBERS)

    def leave(self, member: Member) -> None:
        """A member leaves voice by itself."""
        self._move(member, None, itself=True)

    def kick(self, member: Member) -> None:
        """A moderator throws a member out of voice (not out of the guild)."""
        self._move(member, None, itself=False)

    def move(self, member: Member, channel: Channel) -> None:
        """A moderator takes a member into another channel."""
        assert member.voice is not None, f"{member.shown_as} is not in voice"
        there = replace(member.voice, channel_id=channel.id)
        self._move(member, there, itself=False)

    def deafen(self, member: Member, *, deaf: bool) -> None:
        """A moderator deafens a member on the server, or lets it hear again."""
        assert member.voice is not None, f"{member.shown_as} is not in voice"
        member.voice.deaf = deaf
        self._tell("VOICE_STATE_UPDATE", member.voice_json())

    def mute(self, member: Member, *, mute: bool) -> None:
        """A moderator mutes a member on the server, or lets it speak again."""
        assert member.voice is not None, f"{member.shown_as} is not in voice"
        member.voice.mute = mute
        self._tell("VOICE_STATE_UPDATE", member.voice_json())

    def _move(self, member: Member, state: VoiceState | None, *, itself: bool) -> None:
        before = member.voice
        if before is None and state is None:
            return
        member.voice = state
        session = before.session_id if before else ""
        self._tell("VOICE_STATE_UPDATE", member.voice_json(session_id=session))
        was = before.channel_id if before else None
        moved = Moved(member, was, state.channel_id if state else None, itself)
        for listener in self.on_moved:
            listener(moved)
