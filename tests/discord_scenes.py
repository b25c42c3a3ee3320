"""Scenes on the test Discord: a guild, who is in it, and their call in any case there
is; for the tests of its end, and for their benchmark."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from itertools import product
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np
from channels.db import database_sync_to_async
from fakecord.entities import Channel, Guild
from fakecord.mail import Message
from fakecord.moderators import Moderator
from fakecord.people import Person
from fakecord.rtp import opus
from fakecord.server import FakeDiscord
from scene import eventually

from bot.discord.client import ParleyBot
from bot.discord.conversation import Conversation
from bot.models import DiscordCall
from sessions import participants
from sessions.models import State, VoiceSession

in_db = database_sync_to_async
NICK = "Scribe"
PATIENCE_S = 20.0
WORD = opus((np.sin(np.arange(9600) / 20) * 8000).astype(np.int16))
"""0.2 s of somebody."""


@dataclass(frozen=True, slots=True)
class Case:
    is_room: bool
    record: bool

    def __str__(self) -> str:
        where = "room" if self.is_room else "channel"
        return f"{where}, {'recorded' if self.record else 'not kept'}"


CASES = tuple(Case(*one) for one in product((True, False), repeat=2))
ROOMS = tuple(case for case in CASES if case.is_room)


@dataclass(slots=True)
class Scene:
    """One guild, who is in it, and their call. The bot has a nickname there."""

    server: FakeDiscord
    case: Case
    guild: Guild
    text: Channel
    voice: Channel
    ann: Person
    mod: Moderator
    session: VoiceSession = field(default_factory=VoiceSession)
    channel_id: int = 0
    bot: ParleyBot | None = None
    """Whose call it is; None of one that was killed."""
    reasons: set[str] = field(default_factory=set)
    """Why it may say that it ended."""

    @property
    def call(self) -> Conversation:
        assert self.bot
        call = self.bot.operator.call_in(self.guild.id)
        assert call is not None, "there is no call"
        return call

    @property
    def has_call(self) -> bool:
        return bool(self.bot and self.bot.operator.call_in(self.guild.id))

    @property
    def has_begun(self) -> bool:
        return self.has_call and self.call.is_begun

    @property
    def channel(self) -> Channel | None:
        return self.server.world.channel(self.channel_id)

    @property
    def panel(self) -> Message | None:
        """The newest message with buttons, or that had some."""
        posted = self.server.world.mail.posted(self.text.id)
        return next((one for one in reversed(posted) if is_panel(one)), None)

    async def row(self) -> VoiceSession:
        """Its session as it is now. Raises VoiceSession.DoesNotExist."""
        return await in_db(VoiceSession.objects.get)(guild_id=str(self.guild.id))

    async def find(self) -> VoiceSession | None:
        rows = VoiceSession.objects.filter(guild_id=str(self.guild.id))
        return await in_db(rows.first)()


def a_scene(server: FakeDiscord, case: Case) -> Scene:
    guild = server.world.add_guild(f"Guild {len(server.world.guilds)}")
    server.world.rename(server.world.me(guild.id), NICK)
    return Scene(
        server,
        case,
        guild,
        server.world.add_text(guild),
        server.world.add_voice(guild),
        server.person(guild, "Ann"),
        server.moderator(guild),
    )


class Elsewhere(Protocol):
    """A bot on another event loop."""

    async def asks(self, scene: Scene) -> None: ...


async def asks(scene: Scene, bot: ParleyBot | Elsewhere) -> None:
    """Ann wants her call; she sits in her channel where it is to be there."""
    if not isinstance(bot, ParleyBot):
        await bot.asks(scene)
        return
    scene.bot = bot
    guild = await eventually(lambda: bot.get_guild(scene.guild.id))
    channel = None
    if not scene.case.is_room:
        if scene.ann.channel is None:
            scene.ann.joins(scene.voice)
        channel = await eventually(lambda: guild.get_channel(scene.voice.id))
        await eventually(lambda: scene.ann.id in channel.voice_states)
    await bot.operator.ask(
        guild=guild,
        user=SimpleNamespace(id=scene.ann.id, display_name="Ann"),
        text_channel_id=scene.text.id,
        channel=channel,
        record=scene.case.record,
    )


async def waits(scene: Scene, bot: ParleyBot | Elsewhere) -> None:
    """A room that Ann has not come to yet."""
    await asks(scene, bot)
    await _in_state(scene, State.WAITING)
    await eventually(lambda: scene.call.is_waiting)


async def comes_into_the_room(scene: Scene) -> None:
    """Ann follows the answer to her command."""
    await _in_state(scene, State.WAITING)
    assert scene.channel is not None
    scene.ann.joins(scene.channel)
    await goes_on(scene, speaks=False)


async def comes(scene: Scene, bot: ParleyBot | Elsewhere) -> None:
    """Ann is in her call, or on her way."""
    if not scene.case.is_room:
        await asks(scene, bot)
        return
    await waits(scene, bot)
    assert scene.channel is not None
    scene.ann.joins(scene.channel)


async def run_all(scenes: Iterable[Scene], bot: ParleyBot | Elsewhere) -> None:
    """All of them in full swing."""
    await asyncio.gather(*(runs(scene, bot) for scene in scenes))


async def runs(
    scene: Scene, bot: ParleyBot | Elsewhere, *, speaks: bool = True
) -> None:
    """A call in full swing: everything that is ever put on is on."""
    await comes(scene, bot)
    await goes_on(scene, speaks=speaks)


async def goes_on(scene: Scene, *, speaks: bool = True) -> None:
    """From where Ann is in her channel to full swing."""
    await _in_state(scene, State.ACTIVE)
    await _is_shown(scene)
    if speaks:
        await scene.ann.secured(with_whom=scene.server.world.bot.id, within_s=10)
        await scene.ann.sends(WORD, fast=True)
        connected = in_db(participants.connected)
        await until(lambda: connected(scene.session.pk))


async def _is_shown(scene: Scene) -> None:
    me = scene.server.world.me(scene.guild.id)
    await eventually(lambda: scene.panel is not None)
    await eventually(lambda: scene.channel is not None and scene.channel.status)
    await eventually(lambda: (me.nick or "").startswith("![RECORDING] "))
    panels = DiscordCall.objects.filter(session=scene.session.pk).exclude(panel_id="")
    await until(in_db(panels.exists))


async def until(condition: Callable[[], Awaitable[Any]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def _in_state(scene: Scene, state: State) -> None:
    rows = VoiceSession.objects.filter(guild_id=str(scene.guild.id)).order_by("-pk")
    async with asyncio.timeout(PATIENCE_S):
        while (found := await in_db(rows.first)()) is None or found.state != state:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    scene.session = found
    scene.channel_id = int(found.channel_id)


def is_panel(message: Message) -> bool:
    return bool(message.body.get("embeds"))
