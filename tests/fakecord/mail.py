"""What is written: the messages of all channels, and of those to one user alone."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fakecord.entities import Json, User

EPHEMERAL = 64
"""The flag of what only one member sees."""
MENTION = re.compile(r"<@!?(\d+)>")


def now() -> str:
    return dt.datetime.now(dt.UTC).isoformat()


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it was sent."""

    name: str
    data: bytes


@dataclass(slots=True)
class Message:
    id: int
    channel_id: int
    author: User
    body: Json = field(default_factory=dict)
    """What the author sent: content, embeds, components, flags, …"""
    uploads: dict[int, Upload] = field(default_factory=dict)
    """The files by the ids of their attachments."""
    pinged: list[User] = field(default_factory=list)
    """Who was woken up by it."""
    pings_everyone: bool = False
    sent_at: str = field(default_factory=now)
    edited_at: str | None = None

    @property
    def content(self) -> str:
        return self.body.get("content") or ""

    @property
    def files(self) -> tuple[str, ...]:
        """The names of its files."""
        return tuple(upload.name for upload in self.uploads.values())

    @property
    def ephemeral(self) -> bool:
        return bool((self.body.get("flags") or 0) & EPHEMERAL)

    def json(self) -> Json:
        return {
            "id": str(self.id),
            "channel_id": str(self.channel_id),
            "author": self.author.json(),
            "content": self.content,
            "timestamp": self.sent_at,
            "edited_timestamp": self.edited_at,
            "tts": False,
            "mention_everyone": self.pings_everyone,
            "mentions": [user.json() for user in self.pinged],
            "mention_roles": [],
            "attachments": [self._attachment(*one) for one in self.uploads.items()],
            "embeds": [{"type": "rich", **e} for e in self.body.get("embeds") or ()],
            "components": self.body.get("components") or [],
            "pinned": False,
            "type": 0,
            "flags": self.body.get("flags") or 0,
        }

    def _attachment(self, id_: int, upload: Upload) -> Json:
        place = f"attachments/{self.channel_id}/{id_}/{upload.name}"
        url = f"https://cdn.discordapp.com/{place}"
        return {
            "id": str(id_),
            "filename": upload.name,
            "size": len(upload.data),
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
        user_of: Callable[[int], User | None],
    ) -> None:
        self.messages: dict[int, Message] = {}
        self.uploads: dict[int, Upload] = {}
        """All files there ever were, as the CDN keeps them."""
        self.dms: dict[int, User] = {}
        """Channels to one user alone."""
        self.refusing: set[int] = set()
        """Users who take no letters from the bot."""
        self._new_id = new_id
        self._tell = tell
        self._guild_of = guild_of
        self._user_of = user_of

    def write(
        self, channel_id: int, author: User, body: Json, files: Sequence[Upload] = ()
    ) -> Message:
        """A message that stands in no channel: only one member sees it."""
        message = Message(self._new_id(), channel_id, author, dict(body))
        message.body.pop("attachments", None)
        self._attach(message, files)
        self._ping(message)
        return message

    def post(
        self, channel_id: int, author: User, body: Json, files: Sequence[Upload] = ()
    ) -> Message:
        message = self.write(channel_id, author, body, files)
        self.messages[message.id] = message
        self._tell("MESSAGE_CREATE", self._placed(message))
        return message

    def edit(self, message: Message, body: Json, files: Sequence[Upload] = ()) -> None:
        """Nobody is woken up by it. Files not named in `attachments` are taken off."""
        changes = dict(body)
        if (kept := changes.pop("attachments", None)) is not None:
            ids = {int(one["id"]) for one in kept}
            message.uploads = {k: u for k, u in message.uploads.items() if k in ids}
        self._attach(message, files)
        message.body.update(changes)
        message.edited_at = now()
        if message.id in self.messages:
            self._tell("MESSAGE_UPDATE", self._placed(message))

    def delete(self, message: Message) -> None:
        if self.messages.pop(message.id, None) is not None:
            ids = {"id": str(message.id), "channel_id": str(message.channel_id)}
            self._tell("MESSAGE_DELETE", self._in_guild(message, ids))

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

    def _attach(self, message: Message, files: Sequence[Upload]) -> None:
        made = {self._new_id(): upload for upload in files}
        message.uploads |= made
        self.uploads |= made

    def _ping(self, message: Message) -> None:
        """Whom the text names and `allowed_mentions` lets it wake up."""
        named = [int(id_) for id_ in MENTION.findall(message.content)]
        allowed = message.body.get("allowed_mentions")
        kinds = ["users", "everyone"] if allowed is None else allowed.get("parse") or []
        if "users" not in kinds:
            chosen = {int(id_) for id_ in (allowed or {}).get("users") or ()}
            named = [id_ for id_ in named if id_ in chosen]
        found = [self._user_of(id_) for id_ in dict.fromkeys(named)]
        message.pinged = [user for user in found if user is not None]
        loud = "@everyone" in message.content or "@here" in message.content
        message.pings_everyone = loud and "everyone" in kinds

    def _placed(self, message: Message) -> Json:
        return self._in_guild(message, message.json())

    def _in_guild(self, message: Message, data: Json) -> Json:
        guild = self._guild_of(message.channel_id)
        return data | ({"guild_id": str(guild)} if guild else {})
