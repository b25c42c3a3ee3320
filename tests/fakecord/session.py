"""One login at the main gateway: what it is told, and what it has missed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fakecord.entities import Json
from fakecord.line import Line
from fakecord.permissions import VIEW
from fakecord.world import Event, World

GUILDS, MEMBERS, VOICE_STATES, PRESENCES = 1 << 0, 1 << 1, 1 << 7, 1 << 8
MESSAGES, LETTERS, CONTENT = 1 << 9, 1 << 12, 1 << 15
INTENT_OF = {
    "GUILD_MEMBER_ADD": MEMBERS,
    "GUILD_MEMBER_UPDATE": MEMBERS,
    "VOICE_STATE_UPDATE": VOICE_STATES,
    "MESSAGE_CREATE": MESSAGES,
    "MESSAGE_UPDATE": MESSAGES,
    "MESSAGE_DELETE": MESSAGES,
}
"""Events that only come to who asked for them; all others need GUILDS or nothing."""
SECRET: Json = {"content": "", "embeds": [], "attachments": [], "components": []}
"""What is in a message, where its content is not the bot's to read."""


@dataclass(slots=True)
class Session:
    """One login. It outlives its line, so that it can be resumed."""

    id: str
    intents: int
    line: Line | None = None
    shard: tuple[int, int] | None = None
    """Which, of how many."""
    sent: list[Json] = field(default_factory=list)

    @property
    def is_live(self) -> bool:
        return self.line is not None and self.line.is_open

    def dispatch(self, name: str, data: Json) -> None:
        """Tell it whatever it wants to hear, now or when it comes back."""
        number = len(self.sent) + 1
        self.sent.append({"op": 0, "s": number, "t": name, "d": data})
        if self.line is not None:
            self.line.send_json(self.sent[-1])

    def concerns(self, guild_id: int | None) -> bool:
        """Whether a guild is this shard's; what is of no guild is the first one's."""
        number, count = self.shard or (0, 1)
        return number == ((guild_id or 0) >> 22) % count

    def hear(self, event: Event, world: World) -> None:
        """Tell it an event, if it is for this login, as far as it may read it."""
        if self.concerns(event.guild_id) and self._wants(event, world):
            self.dispatch(event.name, self._readable(event, world))

    def _wants(self, event: Event, world: World) -> bool:
        needed = INTENT_OF.get(event.name, 0)
        if event.name == "GUILD_MEMBER_UPDATE":
            about = event.data["user"]["id"]
            # Discord tells a bot of itself whatever it asked for.
            needed = 0 if about == str(world.bot.id) else needed
        if needed == MESSAGES and event.guild_id is None:
            needed = LETTERS
        return self.intents & needed == needed and _is_seen(event, world)

    def _readable(self, event: Event, world: World) -> Json:
        data = event.data
        if _needs_content(event) and not self.intents & CONTENT:
            mine = data["author"]["id"] == str(world.bot.id)
            named = any(u["id"] == str(world.bot.id) for u in data["mentions"])
            return data if mine or named else data | SECRET
        return data


def _needs_content(event: Event) -> bool:
    """What is written in a guild is read with a privileged intent only."""
    written = event.name in ("MESSAGE_CREATE", "MESSAGE_UPDATE")
    return written and event.guild_id is not None


def _is_seen(event: Event, world: World) -> bool:
    """Nothing comes of a guild in an outage, nor of a text channel that is hidden."""
    guild = world.guilds.get(event.guild_id or 0)
    if guild is None:
        return True
    if not guild.available:
        return event.name == "GUILD_DELETE"
    if not event.name.startswith("MESSAGE_"):
        return True
    channel = guild.channels.get(int(event.data["channel_id"]))
    return channel is None or bool(
        guild.permissions(world.me(guild.id), channel) & VIEW
    )


def members_asked_for(members: list[Any], data: Json) -> list[Any]:
    """Whom op 8 means: by ids, or by how their names begin."""
    if ids := data.get("user_ids"):
        wanted = {int(id_) for id_ in ids} if isinstance(ids, list) else {int(ids)}
        return [one for one in members if one.id in wanted]
    begins = (data.get("query") or "").lower()
    found = [one for one in members if one.shown_as.lower().startswith(begins)]
    return found[: data.get("limit") or None]
