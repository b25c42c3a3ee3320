"""The routes of guilds, of who is in them, and of where they are in voice."""

from __future__ import annotations

from fakecord.entities import Json, Member
from fakecord.failures import Refusal, Refused
from fakecord.forms import NICK_AT_MOST, check_length
from fakecord.paths import Asked, Paths, on
from fakecord.permissions import (
    CHANGE_NICKNAME,
    CONNECT,
    DEAFEN_MEMBERS,
    MOVE_MEMBERS,
    MUTE_MEMBERS,
    VIEW,
)


class MemberRoutes(Paths):
    """Each a few lines on the world; JSON comes back, or None for 204."""

    @on("GET", "/guilds/{guild}")
    def get_guild(self, asked: Asked, guild: str) -> Json:
        return self._guild(guild).json(seen_by=self._world.bot.id)

    @on("DELETE", "/users/@me/guilds/{guild}")
    def leave_guild(self, asked: Asked, guild: str) -> None:
        self._world.remove_guild(self._guild(guild))

    @on("GET", "/users/{user}")
    def get_user(self, asked: Asked, user: str) -> Json:
        found = self._world.user(int(user))
        if found is None:
            raise Refused(Refusal(404, 10013))
        return found.json()

    @on("GET", "/guilds/{guild}/members/{user}")
    def get_member(self, asked: Asked, guild: str, user: str) -> Json:
        return self._member(self._guild(guild), user).json()

    @on("PATCH", "/guilds/{guild}/members/@me")
    def rename_me(self, asked: Asked, guild: str) -> Json:
        me = self._world.me(self._guild(guild, CHANGE_NICKNAME).id)
        nick = asked.body.get("nick")
        check_length("nick", nick or "", NICK_AT_MOST)
        self._world.rename(me, nick)
        return me.json()

    @on("PATCH", "/guilds/{guild}/members/{user}")
    def edit_member(self, asked: Asked, guild: str, user: str) -> Json:
        """In voice only: another channel, none, mute, deaf."""
        found = self._guild(guild)
        member = self._member(found, user)
        if member.voice is None:
            raise Refused(Refusal(400, 40032))
        if "mute" in asked.body:
            self._guild(guild, MUTE_MEMBERS)
            self._world.mute(member, mute=asked.body["mute"])
        if "deaf" in asked.body:
            self._guild(guild, DEAFEN_MEMBERS)
            self._world.deafen(member, deaf=asked.body["deaf"])
        if "channel_id" in asked.body:
            self._move(guild, member, asked.body["channel_id"])
        return member.json()

    def _move(self, guild: str, member: Member, to: str | None) -> None:
        self._guild(guild, MOVE_MEMBERS)
        if to is None:
            self._world.kick(member)
        else:
            # The bot has to be able to go there; the member need not.
            self._world.move(member, self._channel(str(to), VIEW | CONNECT))

    @on("GET", "/guilds/{guild}/voice-states/{user}")
    def get_voice_state(self, asked: Asked, guild: str, user: str) -> Json:
        found = self._guild(guild)
        id_ = str(self._world.bot.id) if user == "@me" else user
        member = self._member(found, id_)
        if member.voice is None:
            raise Refused(Refusal(404, 10065))
        self._channel(str(member.voice.channel_id), VIEW | CONNECT)
        return member.voice_json()
