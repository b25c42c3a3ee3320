"""What members type and press, and what the bot makes of each: Discord's interactions.

It builds what the gateway says, and keeps answers, follow-ups and edits. The three
seconds a bot has, and the one answer it may give, are held here.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from fakecord.entities import Channel, Json, Member
from fakecord.failures import Refusal
from fakecord.mail import Message
from fakecord.world import World

COMMAND, COMPONENT = 2, 3
"""Types of interactions."""
MESSAGE, DEFERRED, DEFERRED_UPDATE, UPDATE = 4, 5, 6, 7
"""Types of answers."""
ANSWER_WITHIN_S = 3.0
EPHEMERAL = 64


@dataclass(slots=True)
class Interaction:
    """One of them, from the member's side. `answer` is what the member then sees."""

    id: int
    token: str
    member: Member
    channel: Channel
    type: int
    data: Json
    pressed: Message | None = None
    began: float = field(default_factory=time.monotonic)
    callback: int | None = None
    """The type of the bot's answer."""
    body: Json = field(default_factory=dict)
    """The data of the bot's answer."""
    answer: Message | None = None
    followups: list[Message] = field(default_factory=list)
    _heard: asyncio.Event = field(default_factory=asyncio.Event)

    async def answered(self, *, within_s: float = ANSWER_WITHIN_S) -> Interaction:
        """Wait until the bot has answered at all, if only by deferring."""
        async with asyncio.timeout(within_s):
            await self._heard.wait()
        return self

    async def shown(self, *, within_s: float = 10.0) -> Message:
        """Wait for a text to read: the answer, or what follows a deferred one."""
        until = time.monotonic() + within_s
        while self.answer is None or not _has_text(self.answer):
            assert time.monotonic() < until, f"nothing to read within {within_s} s"
            await asyncio.sleep(0.01)
        return self.answer

    def json(self, *, application: int, permissions: int, bot_permissions: int) -> Json:
        guild = self.channel.guild_id
        said: Json = {
            "id": str(self.id),
            "application_id": str(application),
            "type": self.type,
            "token": self.token,
            "version": 1,
            "data": self.data,
            "guild_id": str(guild),
            "guild": {"id": str(guild), "locale": "en-US", "features": []},
            "channel_id": str(self.channel.id),
            "channel": self.channel.json(),
            "member": {**self.member.json(), "permissions": str(permissions)},
            "app_permissions": str(bot_permissions),
            "locale": "en-US",
            "guild_locale": "en-US",
            "entitlements": [],
            "authorizing_integration_owners": {"0": str(guild)},
            "context": 0,
            "attachment_size_limit": 10_485_760,
        }
        if self.pressed is not None:
            said["message"] = self.pressed.json()
        return said


class Interactions:
    """All interactions so far, by their tokens; and the commands the bot registered."""

    def __init__(self, world: World) -> None:
        self.all: dict[str, Interaction] = {}
        self.commands: dict[int | None, list[Json]] = {}
        """By guild; None holds the global ones."""
        self._world = world

    def typed(
        self, member: Member, channel: Channel, words: str, options: dict[str, Any]
    ) -> Interaction:
        """A slash command, e.g. `voice start`; sub-commands are further words."""
        name, *rest = words.split()
        given = [_option(key, value) for key, value in options.items()]
        for word in reversed(rest):
            # The innermost is a sub-command (1), one around it is a group (2).
            kind = 1 if word == rest[-1] else 2
            given = [{"type": kind, "name": word, "options": given}]
        data: Json = {"id": "1", "name": name, "type": 1, "options": given}
        return self._new(member, channel, COMMAND, data)

    def pressed(self, member: Member, message: Message, custom_id: str) -> Interaction:
        """A button under a message."""
        channel = self._world.channel(message.channel_id)
        assert channel is not None, "the message is in no channel"
        data: Json = {"custom_id": custom_id, "component_type": 2}
        made = self._new(member, channel, COMPONENT, data)
        made.pressed = made.answer = message
        return made

    def _new(
        self, member: Member, channel: Channel, type_: int, data: Json
    ) -> Interaction:
        id_ = self._world.new_id()
        made = Interaction(id_, f"token-{id_}", member, channel, type_, data)
        self.all[made.token] = made
        return made

    def take_answer(self, token: str, body: Json, files: tuple[str, ...]) -> Json:
        """The bot answers; raises Refused where Discord would not have it."""
        found = self.all.get(token)
        if found is None or time.monotonic() - found.began > ANSWER_WITHIN_S:
            raise Refused(Refusal(404, 10062))
        if found.callback is not None:
            raise Refused(Refusal(400, 40060))
        found.callback, found.body = body["type"], body.get("data") or {}
        if found.callback in (MESSAGE, DEFERRED):
            found.answer = self._posted(found, found.body, files)
        elif found.callback == UPDATE and found.pressed is not None:
            self._world.mail.edit(found.pressed, found.body)
        found._heard.set()
        return _reply(found)

    def follow_up(self, token: str, body: Json, files: tuple[str, ...]) -> Message:
        found = self._known(token)
        message = self._posted(found, body, files)
        found.followups.append(message)
        return message

    def message(self, token: str, name: str) -> Message:
        """`@original`, or the id of a follow-up."""
        found = self._known(token)
        every = [found.answer, *found.followups]
        wanted = every[:1] if name == "@original" else every
        for message in wanted:
            if message and name in ("@original", str(message.id)):
                return message
        raise Refused(Refusal(404, 10008))

    def _known(self, token: str) -> Interaction:
        if token not in self.all:
            raise Refused(Refusal(404, 10062))
        return self.all[token]

    def _posted(
        self, found: Interaction, body: Json, files: tuple[str, ...]
    ) -> Message:
        world = self._world
        if (body.get("flags") or 0) & EPHEMERAL:
            # Only the member sees it: it does not stand in the channel.
            return Message(world.new_id(), found.channel.id, world.bot, body, files)
        return world.mail.post(found.channel.id, world.bot, body, files)


class Refused(Exception):  # noqa: N818 - it is not an error of ours
    """Discord says no."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal


def _has_text(message: Message) -> bool:
    return bool(message.content or message.body.get("embeds"))


def _reply(found: Interaction) -> Json:
    flags = found.body.get("flags") or 0
    about: Json = {
        "id": str(found.id),
        "type": found.type,
        "response_message_loading": found.callback == DEFERRED,
        "response_message_ephemeral": bool(flags & EPHEMERAL),
    }
    resource: Json = {"type": found.callback}
    if found.answer is not None:
        about["response_message_id"] = str(found.answer.id)
        resource["message"] = found.answer.json()
    return {"interaction": about, "resource": resource}


def _option(name: str, value: Any) -> Json:
    for kind, type_ in ((bool, 5), (int, 4), (float, 10)):
        if isinstance(value, kind):
            return {"name": name, "type": type_, "value": value}
    return {"name": name, "type": 3, "value": str(value)}
