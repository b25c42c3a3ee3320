"""The routes of what stands in channels, and of letters to one user alone."""

from __future__ import annotations

from fakecord.entities import Json
from fakecord.failures import Refusal, Refused
from fakecord.forms import check_message
from fakecord.paths import Asked, Paths, on
from fakecord.permissions import ATTACH, EMBED, MANAGE_MESSAGES, SEND, VIEW


class MessageRoutes(Paths):
    """Each a few lines on the mail; JSON comes back, or None for 204."""

    @on("POST", "/users/@me/channels")
    def open_dm(self, asked: Asked) -> Json:
        """A channel to one user alone."""
        user = self._world.user(int(asked.body["recipient_id"]))
        if user is None:
            raise Refused(Refusal(404, 10013))
        place = self._world.mail.open_dm(user)
        return {"id": str(place), "type": 1, "recipients": [user.json()]}

    @on("POST", "/channels/{channel}/messages")
    def post_message(self, asked: Asked, channel: str) -> Json:
        mail = self._world.mail
        place = self._place(channel, _needed(asked))
        if place in mail.dms and mail.dms[place].id in mail.refusing:
            raise Refused(Refusal(403, 50007))
        check_message(asked.body, asked.sizes)
        return mail.post(place, self._world.bot, asked.body, asked.files).json()

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
        return self._message(self._place(channel), message).json()

    @on("PATCH", "/channels/{channel}/messages/{message}")
    def edit_message(self, asked: Asked, channel: str, message: str) -> Json:
        found = self._message(self._place(channel), message)
        if found.author.id != self._world.bot.id:
            raise Refused(Refusal(403, 50005))
        check_message(asked.body, asked.sizes, edited=True)
        self._world.mail.edit(found, asked.body, asked.files)
        return found.json()

    @on("DELETE", "/channels/{channel}/messages/{message}")
    def delete_message(self, asked: Asked, channel: str, message: str) -> None:
        found = self._message(self._place(channel), message)
        if found.author.id != self._world.bot.id:
            self._place(channel, MANAGE_MESSAGES)
        self._world.mail.delete(found)

    @on("POST", "/channels/{channel}/messages/bulk-delete")
    def delete_messages(self, asked: Asked, channel: str) -> None:
        place = self._place(channel, MANAGE_MESSAGES)
        for id_ in asked.body["messages"]:
            self._world.mail.delete(self._message(place, id_))


def _needed(asked: Asked) -> int:
    needs = VIEW | SEND | (ATTACH if asked.files else 0)
    return needs | (EMBED if asked.body.get("embeds") else 0)
