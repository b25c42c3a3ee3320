"""The routes of channels."""

from __future__ import annotations

from fakecord.entities import CATEGORY, Channel, Guild, Json
from fakecord.failures import Refusal, Refused
from fakecord.forms import STATUS_AT_MOST, check_channel, check_length, invalid
from fakecord.paths import Asked, Paths, on
from fakecord.permissions import (
    ADMINISTRATOR,
    MANAGE_CHANNELS,
    MANAGE_ROLES,
    SET_VOICE_STATUS,
    allows,
)

CHANNELS_AT_MOST, CHILDREN_AT_MOST = 500, 50


class ChannelRoutes(Paths):
    """Each a few lines on the world; JSON comes back, or None for 204."""

    @on("POST", "/guilds/{guild}/channels")
    def create_channel(self, asked: Asked, guild: str) -> Json:
        found = self._guild(guild)
        options = {key: value for key, value in asked.body.items() if value is not None}
        parent = self._parent(found, options)
        if not allows(self._allowed(found, parent), MANAGE_CHANNELS):
            raise Refused(Refusal(403, 50013))
        check_channel(options)
        self._check_overwrites(found, options)
        if len(found.channels) >= CHANNELS_AT_MOST:
            raise Refused(Refusal(400, 30013))
        if parent is not None and not options.get("permission_overwrites"):
            options["permission_overwrites"] = list(parent.overwrites.values())
        type_, name = options.pop("type", 0), options.pop("name")
        return self._world.add_channel(found, name, type_, options).json()

    @on("GET", "/guilds/{guild}/channels")
    def get_channels(self, asked: Asked, guild: str) -> list[Json]:
        return [channel.json() for channel in self._guild(guild).channels.values()]

    @on("GET", "/channels/{channel}")
    def get_channel(self, asked: Asked, channel: str) -> Json:
        return self._channel(channel).json()

    @on("PATCH", "/channels/{channel}")
    def edit_channel(self, asked: Asked, channel: str) -> Json:
        found = self._channel(channel, MANAGE_CHANNELS)
        guild = self._world.guilds[found.guild_id]
        check_channel(asked.body)
        self._parent(guild, asked.body)
        if asked.body.get("permission_overwrites") is not None:
            self._channel(channel, MANAGE_ROLES)
            self._check_overwrites(guild, asked.body)
        self._world.edit_channel(found, asked.body)
        return found.json()

    @on("DELETE", "/channels/{channel}")
    def delete_channel(self, asked: Asked, channel: str) -> Json:
        found = self._channel(channel, MANAGE_CHANNELS)
        self._world.delete_channel(found)
        return found.json()

    @on("PUT", "/channels/{channel}/voice-status")
    def set_status(self, asked: Asked, channel: str) -> None:
        """Who is not in the channel has to manage it, too."""
        found = self._channel(channel, SET_VOICE_STATUS)
        me = self._world.me(found.guild_id)
        if me.voice is None or me.voice.channel_id != found.id:
            self._channel(channel, MANAGE_CHANNELS)
        status = asked.body["status"] or ""
        check_length("status", status, STATUS_AT_MOST)
        self._world.set_status(found, status)

    @on("PUT", "/channels/{channel}/permissions/{target}")
    def put_overwrite(self, asked: Asked, channel: str, target: str) -> None:
        found = self._channel(channel, MANAGE_ROLES)
        one = {"id": target, **asked.body}
        guild = self._world.guilds[found.guild_id]
        self._check_overwrites(guild, {"permission_overwrites": [one]})
        kept = found.overwrites | {int(target): one}
        overwrites = {"permission_overwrites": list(kept.values())}
        self._world.edit_channel(found, overwrites)

    @on("DELETE", "/channels/{channel}/permissions/{target}")
    def delete_overwrite(self, asked: Asked, channel: str, target: str) -> None:
        found = self._channel(channel, MANAGE_ROLES)
        kept = [one for one in found.overwrites.values() if one["id"] != target]
        self._world.edit_channel(found, {"permission_overwrites": kept})

    def _parent(self, guild: Guild, body: Json) -> Channel | None:
        """The category named; raises Refused where it is none, or full."""
        if not body.get("parent_id"):
            return None
        found = guild.channels.get(int(body["parent_id"]))
        if found is None or found.type != CATEGORY:
            words = "Category does not exist"
            raise invalid("parent_id", "CHANNEL_PARENT_INVALID", words)
        if len(guild.children(found.id)) >= CHILDREN_AT_MOST:
            words = f"Maximum number of channels in category ({CHILDREN_AT_MOST})"
            raise invalid("parent_id", "CHANNEL_PARENT_MAX_CHANNELS", words)
        return found

    def _check_overwrites(self, guild: Guild, body: Json) -> None:
        """The bot gives and takes only what it has itself in the guild.

        MANAGE_ROLES is an administrator's to give, however many have it.
        """
        mine = self._allowed(guild)
        if not mine & ADMINISTRATOR:
            mine &= ~MANAGE_ROLES
        for one in body.get("permission_overwrites") or ():
            named = int(one.get("allow") or 0) | int(one.get("deny") or 0)
            if not allows(mine, named):
                raise Refused(Refusal(403, 50013))
