"""What members type and press, and what the bot makes of each: Discord's interactions.

It builds what the gateway says, and keeps answers, follow-ups and edits. The three
seconds a bot has, and the one answer it may give, are held here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fakecord.commands import may_use, option
from fakecord.entities import Channel, Json, Member
from fakecord.failures import Refusal, Refused
from fakecord.forms import FILE_AT_MOST, components
from fakecord.mail import EPHEMERAL, Message, Upload
from fakecord.permissions import USE_COMMANDS, VIEW, allows
from fakecord.world import World

COMMAND, COMPONENT = 2, 3
"""Types of interactions."""
MESSAGE, DEFERRED, DEFERRED_UPDATE, UPDATE = 4, 5, 6, 7
"""Types of answers."""
ANSWER_WITHIN_S, TOKEN_S = 3.0, 900.0


class Barred(AssertionError):  # noqa: N818 - nothing is wrong
    """A member tried what Discord does not let them do; the bot never hears of it."""


@dataclass(slots=True)
class Interaction:
    """One of them, from the member's side. `answer` is what the member then sees."""

    id: int
    token: str
    member: Member
    channel: Channel
    type: int
    data: Json
    locale: str = "en-US"
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
        """Wait for the answer's text, which a deferred one gets by an edit."""
        return await self._text(within_s, lambda: [self.answer])

    async def told(self, *, within_s: float = 10.0) -> Message:
        """Wait for any text: the answer's, or that of what follows a deferred one."""
        return await self._text(within_s, lambda: [self.answer, *self.followups])

    async def _text(
        self, within_s: float, among: Callable[[], list[Message | None]]
    ) -> Message:
        until = time.monotonic() + within_s
        while True:
            for message in among():
                if message is not None and _has_text(message):
                    return message
            assert time.monotonic() < until, f"nothing to read within {within_s} s"
            await asyncio.sleep(0.01)

    def json(self, *, application: int, permissions: int, bot_permissions: int) -> Json:
        guild = self.channel.guild_id
        channel = self.channel.json() | {"permissions": str(permissions)}
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
            "channel": channel,
            "member": {**self.member.json(), "permissions": str(permissions)},
            "app_permissions": str(bot_permissions),
            "locale": self.locale,
            "guild_locale": "en-US",
            "entitlements": [],
            "authorizing_integration_owners": {"0": str(guild)},
            "context": 0,
            "attachment_size_limit": FILE_AT_MOST,
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
        self,
        member: Member,
        channel: Channel,
        words: str,
        options: dict[str, Any],
        *,
        locale: str = "en-US",
    ) -> Interaction:
        """A slash command, e.g. `voice start`; sub-commands are further words.

        Raises Barred where the member would not be shown it. A command that is not
        registered is sent all the same.
        """
        name, *rest = words.split()
        self._check(member, channel, name)
        given = [option(key, value) for key, value in options.items()]
        for word in reversed(rest):
            # The innermost is a sub-command (1), one around it is a group (2).
            kind = 1 if word == rest[-1] else 2
            given = [{"type": kind, "name": word, "options": given}]
        known = self._command(channel.guild_id, name)
        id_ = known["id"] if known else "1"
        data: Json = {"id": id_, "name": name, "type": 1, "options": given}
        return self._new(member, channel, COMMAND, data, locale)

    def pressed(
        self, member: Member, message: Message, custom_id: str, *, locale: str = "en-US"
    ) -> Interaction:
        """A button under a message; raises Barred where there is none to press."""
        channel = self._world.channel(message.channel_id)
        if channel is None:
            raise Barred("the message is in no channel")
        if not allows(self._allowed(member, channel), VIEW):
            raise Barred(f"{member.shown_as} does not see {channel.name}")
        shown = components(message.body.get("components") or [])
        there = [one for one in shown if one.get("custom_id") == custom_id]
        if not there or there[0].get("disabled"):
            raise Barred(f"no button {custom_id} to be pressed")
        data: Json = {"custom_id": custom_id, "component_type": 2}
        made = self._new(member, channel, COMPONENT, data, locale)
        made.pressed = made.answer = message
        return made

    def _check(self, member: Member, channel: Channel, name: str) -> None:
        allowed = self._allowed(member, channel)
        if not allows(allowed, VIEW | USE_COMMANDS):
            raise Barred(f"{member.shown_as} may use no commands in {channel.name}")
        command = self._command(channel.guild_id, name)
        if command is not None and not may_use(command, allowed):
            raise Barred(f"{member.shown_as} is not shown /{name}")

    def _command(self, guild: int, name: str) -> Json | None:
        for one in (*self.commands.get(guild, ()), *self.commands.get(None, ())):
            if one["name"] == name:
                return one
        return None

    def _allowed(self, member: Member, channel: Channel) -> int:
        guild = self._world.guilds[member.guild_id]
        return guild.permissions(member, channel)

    def _new(
        self, member: Member, channel: Channel, type_: int, data: Json, locale: str
    ) -> Interaction:
        id_ = self._world.new_id()
        token = f"token-{id_}"
        made = Interaction(id_, token, member, channel, type_, data, locale)
        self.all[token] = made
        return made

    def take_answer(self, token: str, body: Json, files: Sequence[Upload]) -> Json:
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
            self._world.mail.edit(found.pressed, found.body, files)
        found._heard.set()
        return _reply(found)

    def follow_up(self, token: str, body: Json, files: Sequence[Upload]) -> Message:
        """The first after a deferred answer is seen by whom that one was for."""
        found = self._known(token)
        if found.callback == DEFERRED and not found.followups:
            hidden = (found.body.get("flags") or 0) & EPHEMERAL
            body = body | {"flags": (body.get("flags") or 0) | hidden}
        message = self._posted(found, body, files)
        found.followups.append(message)
        return message

    def message(self, token: str, name: str) -> Message:
        """`@original`, or the id of a follow-up; raises Refused."""
        found = self._known(token)
        every = [found.answer, *found.followups]
        wanted = every[:1] if name == "@original" else every
        for message in wanted:
            if message and name in ("@original", str(message.id)):
                return message
        raise Refused(Refusal(404, 10008))

    def delete(self, token: str, name: str) -> None:
        """The message is gone, for the member too; raises Refused."""
        message, found = self.message(token, name), self._known(token)
        self._world.mail.delete(message)
        found.followups = [one for one in found.followups if one is not message]
        if found.answer is message:
            found.answer = None

    def _known(self, token: str) -> Interaction:
        found = self.all.get(token)
        if found is None or time.monotonic() - found.began > TOKEN_S:
            raise Refused(Refusal(404, 10062))
        return found

    def _posted(
        self, found: Interaction, body: Json, files: Sequence[Upload]
    ) -> Message:
        mail, channel, bot = self._world.mail, found.channel.id, self._world.bot
        hidden = (body.get("flags") or 0) & EPHEMERAL
        return (mail.write if hidden else mail.post)(channel, bot, body, files)


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
