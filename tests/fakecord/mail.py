"""What is written: the messages of all channels, and of those to one user alone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field

from fakecord.entities import Json, User


def now() -> str:
    return dt.datetime.now(dt.UTC).isoformat()


@dataclass(slots=True)
class Message:
    id: int
    channel_id: int
    author: User
    body: Json = field(default_factory=dict)
    """What the author sent: content, embeds, components, flags, …"""
    files: tuple[str, ...] = ()
    sent_at: str = field(default_factory=now)
    edited_at: str | None = None

    @property
    def content(self) -> str:
        return self.body.get("content") or ""

    @property
    def ephemeral(self) -> bool:
        return bool((self.body.get("flags") or 0) & 64)

    def json(self) -> Json:
        return {
            "id": str(self.id),
            "channel_id": str(self.channel_id),
            "author": self.author.json(),
            "content": self.content,
            "timestamp": self.sent_at,
            "edited_timestamp": self.edited_at,
            "tts": False,
            "mention_everyone": False,
            "mentions": [],
            "mention_roles": [],
            "attachments": [self._attachment(n) for n in range(len(self.files))],
            "embeds": [{"type": "rich", **e} for e in self.body.get("embeds") or ()],
            "components": self.body.get("components") or [],
            "pinned": False,
            "type": 0,
            "flags": self.body.get("flags") or 0,
        }

    def _attachment(self, number: int) -> Json:
        url = f"https://cdn.discordapp.com/attachments/{self.id}/{self.files[number]}"
        return {
            "id": str(self.id + number),
            "filename": self.files[number],
            "size": 0,
            "url": url,
            "proxy_url": url,
        }


class Mail:
    """All messages by id; those only one member sees are not among them."""

    def __init__(
        self,
        *,
        new_id: Callable[[], int],
        tell: Callable[[str, Json], None],
        guild_of: Callable[[int], int | None],
    ) -> None:
        self.messages: dict[int, Message] = {}
        self.dms: dict[int, User] = {}
        """Channels to one user alone."""
        self._new_id = new_id
        self._tell = tell
        self._guild_of = guild_of

    def post(
        self, channel_id: int, author: User, body: Json, files: tuple[str, ...] = ()
    ) -> Message:
        message = Message(self._new_id(), channel_id, author, dict(body), files)
        self.messages[message.id] = message
        self._tell("MESSAGE_CREATE", self._placed(message))
        return message

    def edit(self, message: Message, body: Json) -> None:
        message.body.update(body)
        message.edited_at = now()
        self._tell("MESSAGE_UPDATE", self._placed(message))

    def delete(self, message: Message) -> None:
        del self.messages[message.id]
        ids = {"id": str(message.id), "channel_id": str(message.channel_id)}
        self._tell("MESSAGE_DELETE", ids)

    def posted(self, channel_id: int) -> list[Message]:
        """What stands in a channel, oldest first."""
        return [m for m in self.messages.values() if m.channel_id == channel_id]

    def open_dm(self, user: User) -> int:
        """The channel between the bot and one user; the same each time."""
        for place, owner in self.dms.items():
            if owner.id == user.id:
                return place
        place = self._new_id()
        self.dms[place] = user
        return place

    def _placed(self, message: Message) -> Json:
        guild = self._guild_of(message.channel_id)
        return message.json() | ({"guild_id": str(guild)} if guild else {})
