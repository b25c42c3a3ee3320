"""Discord in trouble: each error that its REST has for a bot, each step at which one
may come, and what is true of a call that met one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import discord
from discord_bot import in_db, running
from django.conf import settings
from fakecord.entities import Channel, Guild
from fakecord.failures import Failure
from fakecord.interactions import Interaction
from fakecord.mail import Message
from fakecord.people import Person
from fakecord.rest import Request
from fakecord.server import FakeDiscord
from scene import eventually

from bot.discord.client import ParleyBot
from bot.discord.guild.rooms import name_for
from bot.discord.notices import Notice, text
from bot.models import DiscordCall
from sessions import addresses, queries
from sessions.models import State, VoiceRequest, VoiceSession

NICK = "Scribe"
PATIENCE_S = 30.0
OFTEN = 1000
KEPT_UP = ("discord.queue", "discord.sweep", "discord.optouts", "discord.eraser")
OURS = ("discord.", "serve ", "end ", "expire ", "epilogue ")
"""How the names of our tasks begin."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """How every request to a route fails until Discord is mended."""

    name: str
    how: dict[str, Any]
    is_waited_out: bool = False
    """discord.py asks again, and it is as if nothing had been."""
    is_done: bool = False
    """What was asked is done all the same."""

    def __str__(self) -> str:
        return self.name


TROUBLES = (
    Trouble("403", {"status": 403, "code": 50013}),
    Trouble("404", {"status": 404, "code": 10004}),
    Trouble(
        "429 for 0.3 s",
        {"status": 429, "retry_after_s": 0.3, "times": 1},
        is_waited_out=True,
    ),
    Trouble("429 for 600 s", {"status": 429, "retry_after_s": 600}),
    Trouble("500", {"status": 500}),
    Trouble("503", {"status": 503}),
    Trouble("no answer", {"way": "hang"}),
    Trouble("reset", {"way": "reset"}),
    Trouble("no answer, but done", {"way": "mute"}, is_done=True),
    Trouble("reset, but done", {"way": "lost"}, is_done=True),
)


@dataclass(slots=True)
class Scene:
    """One guild in which the bot has a nickname; Ann asks there, in her language."""

    server: FakeDiscord
    guild: Guild
    text: Channel
    voice: Channel
    ann: Person
    bot: ParleyBot
    asked: Interaction | None = None
    failure: Failure | None = None
    room_id: int = 0
    asking: list[asyncio.Task[Any]] = field(default_factory=list)

    def fails(self, trouble: Trouble, method: str, pattern: str) -> None:
        """`{guild}`, `{text}`, `{voice}`, `{room}` of the scene; `{id}` and `{token}`
        of what Ann has asked."""
        places = {"guild": self.guild.id, "text": self.text.id, "voice": self.voice.id}
        places["room"] = self.room_id
        asked = self.asked
        ids = {"id": asked.id, "token": asked.token} if asked else {}
        path = pattern.format_map(places | ids)
        self.server.fail(method, path, **{"times": OFTEN} | trouble.how)
        self.failure = self.server.rest.failures._all[-1]

    async def has_met_it(self) -> None:
        """The first request has failed, or is about to."""
        failure = self.failure
        assert failure is not None
        times = OFTEN if failure.times > 1 else 1
        await eventually(lambda: failure.times < times, within_s=PATIENCE_S)

    # --- what Ann does ----------------------------------------------------------------

    async def types(self, words: str) -> Interaction:
        """She does, and the bot has not yet heard of it. Whether she is answered is
        another matter."""

        async def type_it() -> None:
            with contextlib.suppress(TimeoutError):
                await self.ann.types(self.text, words, within_s=PATIENCE_S)

        before = set(self.server.interactions.all)
        self.asking.append(asyncio.create_task(type_it()))
        await asyncio.sleep(0)
        made = self.server.interactions.all
        (self.asked,) = (
            one
            for token, one in made.items()
            if token not in before and one.member is self.ann.member
        )
        return self.asked

    async def is_told(self, notice: Notice, **values: object) -> None:
        """In the answer, or to her alone in the channel where she asked."""
        wanted = text(notice, self.ann.locale, **values)
        await eventually(
            lambda: any(wanted in said for said in self.told), within_s=PATIENCE_S
        )

    @property
    def told(self) -> list[str]:
        answer = self.asked.answer if self.asked else None
        mine = [m for m in self.posted if self.ann.member.user in m.pinged]
        return [m.content for m in (answer, *mine) if m is not None]

    @property
    def posted(self) -> list[Message]:
        found: list[Message] = self.server.world.mail.posted(self.text.id)
        return found

    @property
    def panels(self) -> list[Message]:
        """Those whose buttons can still be pressed."""
        return [m for m in self.posted if m.body.get("components")]

    async def has_a_room(self, *, waited: bool = False) -> None:
        """What she asked for: the bot waits in it, and she knows; she had `waited`."""
        await self.comes_to(State.WAITING)
        self.room_id = int((await self.session()).channel_id)
        seconds = round(settings.VOICE_TIMEOUT)
        notice = Notice.ROOM_TURN if waited else Notice.ROOM_READY
        await self.is_told(notice, channel=f"<#{self.room_id}>", seconds=seconds)

    async def presses(self, button: str) -> None:
        """A button of the panel. Whether she is answered is another matter."""
        (panel,) = self.panels
        session = await self.session()
        with contextlib.suppress(TimeoutError):
            await self.ann.presses(
                panel, f"parley:{button}:{session.public_id}", within_s=0.1
            )

    async def leaves(self) -> None:
        """She sends the bot away, and is told that it has gone."""
        session = await self.session()
        await self.types("leave")
        is_private = bool(self.room_id) or not session.record
        notice = Notice.END_DONE if is_private else Notice.RECORD_STOPPED
        await self.is_told(notice, url=addresses.page_of(session))
        await self.has_ended()

    async def is_recorded(self) -> None:
        """In the room that was made, or in her channel, with every sign of it."""
        if self.room is not None:
            self.ann.joins(self.room)
        else:
            self.ann.joins(self.voice)
            await self.types("record start")
        await self.comes_to(State.ACTIVE)
        await eventually(lambda: self.panels, within_s=PATIENCE_S)
        where = self.room or self.voice
        await eventually(lambda: where.status, within_s=PATIENCE_S)
        await self.becomes(_has_panel)

    # --- what is ----------------------------------------------------------------------

    @property
    def room(self) -> Channel | None:
        return self.server.world.channel(self.room_id)

    @property
    def rooms(self) -> list[Channel]:
        name = name_for("Ann")
        return [c for c in self.guild.channels.values() if c.name == name]

    @property
    def is_running(self) -> bool:
        call = self.bot.operator.call_in(self.guild.id)
        return call is not None and not call.is_ending

    async def session(self) -> VoiceSession:
        return await in_db(self._session)()

    def _session(self) -> VoiceSession:
        return VoiceSession.objects.filter(guild_id=str(self.guild.id)).latest("pk")

    async def comes_to(self, *states: State) -> None:
        rows = VoiceSession.objects.filter(guild_id=str(self.guild.id))
        await self.becomes(lambda _: rows.filter(state__in=states).exists())

    async def becomes(self, condition: Callable[[Scene], bool]) -> None:
        """Of what the database says."""
        async with asyncio.timeout(PATIENCE_S):
            while not await in_db(condition)(self):  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def has_ended(self) -> None:
        """And the database says so: no session, no slot, no call."""
        await self.becomes(_is_over)
        await eventually(
            lambda: self.bot.operator.call_in(self.guild.id) is None,
            within_s=PATIENCE_S,
        )

    @property
    def here(self) -> discord.Guild:
        """The guild as the bot knows it."""
        found = self.bot.get_guild(self.guild.id)
        assert found is not None
        return found

    @property
    def failed(self) -> list[Request]:
        """What was asked and not answered."""
        return [one for one in self.server.rest.requests if one.status is None]

    async def is_concluded(self) -> None:
        """And nothing more is said of it."""
        name = f"epilogue {(await self.session()).pk}"
        await eventually(lambda: name not in tasks_left(), within_s=PATIENCE_S)

    async def tells_the_truth(self) -> None:
        """Nothing is called undone that is still there."""
        deed = await self.deed()
        if deed is not None and deed.undone_at is not None:
            assert self.signs == []

    @property
    def signs(self) -> list[str]:
        """What is left in Discord."""
        nick = self.server.world.me(self.guild.id).nick
        left = [f"nickname {nick}"] if nick != NICK else []
        left += [f"room {room.id}" for room in self.rooms]
        return left + [
            f"status of {c.name}" for c in self.guild.channels.values() if c.status
        ]

    async def deed(self) -> DiscordCall | None:
        """What the database has of her call."""
        found: DiscordCall | None = await in_db(_deed)(self)
        return found

    def believes_discord(self) -> None:
        """What it says of a member, a channel or a message that is gone, is so."""
        world = self.server.world
        world.rename(world.me(self.guild.id), NICK)
        world.set_status(self.voice, "")
        for room in self.rooms:
            world.delete_channel(room)
        for message in self.panels:
            world.mail.delete(message)

    async def left(self) -> list[str]:
        """Of all her calls, in Discord and in the database."""
        if self.guild.id not in self.server.world.guilds:
            return []
        left = self.signs + [f"panel {m.id}" for m in self.panels]
        for deed in await in_db(_deeds)(self):
            if deed.undone_at is None or deed.panel_id:
                left.append(f"deed {deed.error}")
        return left


@asynccontextmanager
async def in_guilds(server: FakeDiscord, count: int = 1) -> AsyncIterator[list[Scene]]:
    """A bot in so many guilds, in which English and Italian are spoken in turn. When
    the block ends, Discord works again, and nothing may be left of any call."""
    places = []
    for number in range(count):
        guild = server.world.add_guild(f"Guild {number}")
        server.world.rename(server.world.me(guild.id), NICK)
        text_channel = server.world.add_text(guild)
        voice, ann = server.world.add_voice(guild), server.person(guild, "Ann")
        ann.locale = ("en-US", "it")[number % 2]
        places.append((guild, text_channel, voice, ann))
    async with running(server) as bot:
        scenes = [Scene(server, *place, bot) for place in places]
        yield scenes
        server.mend()
        await _swept(bot, scenes)
        await eventually(lambda: not tasks_left(), within_s=PATIENCE_S)


async def _swept(bot: ParleyBot, scenes: list[Scene]) -> None:
    """What is left goes, now that Discord works again."""
    until = asyncio.get_running_loop().time() + PATIENCE_S
    while left := [one for scene in scenes for one in await scene.left()]:
        assert asyncio.get_running_loop().time() < until, left
        await bot.sweep.once()
        await asyncio.sleep(0.05)


def tasks_left() -> list[str]:
    """Of ours, but for those of a bot that does nothing."""
    names = [task.get_name() for task in asyncio.all_tasks()]
    return [n for n in names if n.startswith(OURS) and n not in KEPT_UP]


def _deeds(scene: Scene) -> list[DiscordCall]:
    return list(DiscordCall.objects.filter(guild_id=str(scene.guild.id)))


def _deed(scene: Scene) -> DiscordCall | None:
    return next(iter(_deeds(scene)), None)


def _has_panel(scene: Scene) -> bool:
    deed = _deed(scene)
    return deed is not None and bool(deed.panel_id)


def _is_over(scene: Scene) -> bool:
    guild = str(scene.guild.id)
    alive = queries.active().filter(guild_id=guild).exists()
    over = (VoiceRequest.State.DONE, VoiceRequest.State.DROPPED)
    open_ = VoiceRequest.objects.filter(guild_id=guild).exclude(state__in=over)
    return not alive and not open_.exists()
