"""The routes of channels and of what stands in them."""

from __future__ import annotations

from fakecord.entities import Json
from fakecord.failures import Refusal
from fakecord.interactions import Refused
from fakecord.paths import SEND, VIEW, Asked, Paths, on

MANAGE_CHANNELS, STATUS = 1 << 4, 1 << 48
CHANNELS_AT_MOST = 500


class ChannelRoutes(Paths):
    """Each a few lines on the world; JSON comes back, or None for 204."""

    @on("POST", "/guilds/{guild}/channels")
    def create_channel(self, asked: Asked, guild: str) -> Json:
        found = self._guild(guild, MANAGE_CHANNELS)
        if len(found.channels) >= CHANNELS_AT_MOST:
            raise Refused(Refusal(400, 30013))
        options = {key: value for key, value in asked.body.items() if value is not None}
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
        self._world.edit_channel(found, asked.body)
        return found.json()

    @on("DELETE", "/channels/{channel}")
    def delete_channel(self, asked: Asked, channel: str) -> Json:
        found = self._channel(channel, MANAGE_CHANNELS)
        self._world.delete_channel(found)
        return found.json()

    @on("PUT", "/channels/{channel}/voice-status")
    def set_status(self, asked: Asked, channel: str) -> None:
        found = self._channel(channel, STATUS)
        self._world.set_status(found, asked.body["status"] or "")

    @on("PUT", "/channels/{channel}/permissions/{target}")
    def put_overwrite(self, asked: Asked, channel: str, target: str) -> None:
        found = self._channel(channel, MANAGE_CHANNELS)
        old = found.options.get("permission_overwrites", [])
        kept = [one for one in old if one["id"] != target]
        kept.append({"id": target, **asked.body})
        self._world.edit_channel(found, {"permission_overwrites": kept})

    # messages

    @on("POST", "/channels/{channel}/messages")
    def post_message(self, asked: Asked, channel: str) -> Json:
        place = self._place(channel, VIEW | SEND)
        bot = self._world.bot
        return self._world.mail.post(place, bot, asked.body, asked.files).json()

    @on("GET", "/channels/{channel}/messages")
    def get_messages(self, asked: Asked, channel: str) -> list[Json]:
        """All of them, newest first; the query is not looked at."""
        posted = self._world.mail.posted(self._place(channel))
        return [message.json() for message in reversed(posted)]

    @on("POST", "/channels/{channel}/typing")
    def start_typing(self, asked: Asked, channel: str) -> None:
        self._place(channel)

    @on("GET", "/channels/{channel}/messages/{message}")
    def get_message(self, asked: Asked, channel: str, message: str) -> Json:
        self._place(channel)
        return self._message(message).json()

    @on("PATCH", "/channels/{channel}/messages/{message}")
    def edit_message(self, asked: Asked, channel: str, message: str) -> Json:
        self._place(channel)
        found = self._message(message)
        self._world.mail.edit(found, asked.body)
        return found.json()

    @on("DELETE", "/channels/{channel}/messages/{message}")
    def delete_message(self, asked: Asked, channel: str, message: str) -> None:
        self._place(channel)
        self._world.mail.delete(self._message(message))
