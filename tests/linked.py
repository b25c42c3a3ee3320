"""Links in a logged-in bot on the test Discord, each in a guild of its own where one
never stops talking: how long was nothing heard, and what is left at the end?

For tests and for benchmarks; pytest is not needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from typing import Any

import discord
import numpy as np
from fakecord.bot import known, until
from fakecord.entities import Channel, Guild, Member
from fakecord.line import Line
from fakecord.people import Person
from fakecord.room import SPEAKING
from fakecord.rtp import opus
from fakecord.server import FakeDiscord
from fakecord.voicegateway import Connection

from bot.discord.linking.link import Link
from bot.discord.receive import Heard

SOUND = opus((8_000 * np.sin(np.arange(48_000) / 20)).astype(np.int16))
ANNOUNCED_EVERY = 250
"""Packets: a guest who is not known by name is known by their key."""
THREADS = ("voice-reading", "voice-keep-alive")
TASKS = ("discord.link", "discord.opening", "discord.keepalive", "discord.disconnect")
THEIR_TASKS = ("Voice connector", "Voice websocket poller")


class Linked:
    """A link, and what came over it."""

    def __init__(self, server: FakeDiscord, client: discord.Client, **how: Any) -> None:
        self.server, self.client = server, client
        self.guild: Guild = server.world.add_guild()
        self.channel: Channel = server.world.add_voice(self.guild)
        self.other: Channel = server.world.add_voice(self.guild, "Other")
        self.ann: Person = server.person(self.guild, "Ann")
        self.reasons: list[str] = []
        """What was told of its end."""
        self.heard_s: list[float] = []
        """When each packet came, on the monotonic clock."""
        self.link: Link
        self._how = how
        self._lost: list[Line] = []

    @property
    def me(self) -> Member:
        """The bot in this guild, as Discord sees it."""
        return self.server.world.me(self.guild.id)

    @property
    def lines(self) -> list[Connection]:
        """Every voice connection so far."""
        return [
            one
            for one in self.server.voice.connections
            if one.guild_id == self.guild.id
        ]

    async def made(self) -> Link:
        """The link, not opened yet."""
        self.link = Link(
            self.client,
            await known(self.client, self.channel),
            sink=self._hear,
            accepts=lambda _: True,
            ended=self.reasons.append,
            **self._how,
        )
        return self.link

    def moves(self) -> None:
        """A moderator takes everybody, the bot too, into the other channel."""
        self.server.world.move(self.me, self.other)
        self.ann.joins(self.other)

    def loses_line(self) -> None:
        """The voice gateway's end is gone, and ours does not know: nothing is answered
        there, not even a goodbye. The sound goes on until the bot leaves."""
        line = self.lines[-1].line
        line.dead, line.closed_with = True, 1006
        request = line._socket._req  # aiohttp has no public way to the transport
        assert request is not None
        assert request.transport is not None
        request.transport.pause_reading()
        self._lost.append(line)

    def ends(self) -> None:
        """Such lines would never notice that we have gone."""
        for line in self._lost:
            line.cut()

    def _hear(self, heard: Heard) -> None:
        self.heard_s.append(heard.received_s)

    async def hears(self, packets: int = 5, *, within_s: float = 10.0) -> None:
        """Wait until so many more have come."""
        wanted = len(self.heard_s) + packets
        await until(lambda: len(self.heard_s) >= wanted, within_s=within_s)

    async def gap_s(
        self,
        event: Callable[[], object],
        *,
        mended: Callable[[], object] | None = None,
        within_s: float = 10.0,
        packets: int = 10,
    ) -> float:
        """The longest time without a packet around an event, waiting until it is
        `mended`: by default, until there is another line to the voice gateway; and for
        so many packets more, as late changes of the keys belong to it."""
        await self.hears()
        first, lines = len(self.heard_s) - 1, len(self.lines)
        event()
        await until(mended or (lambda: len(self.lines) > lines), within_s=within_s)
        await self.hears(packets, within_s=within_s)
        return max(after - before for before, after in pairwise(self.heard_s[first:]))

    async def ended(self, *, within_s: float = 10.0) -> list[str]:
        """Wait until that is told; all that was told."""
        await until(lambda: self.reasons, within_s=within_s)
        return self.reasons


@asynccontextmanager
async def linked(
    server: FakeDiscord, client: discord.Client, **how: Any
) -> AsyncIterator[Linked]:
    """An open link in a guild of its own, where Ann talks until the block ends."""
    linked = Linked(server, client, **how)
    linked.ann.joins(linked.channel)
    talking = asyncio.create_task(talks(linked.ann))
    link = await linked.made()
    try:
        await link.open()
        await linked.hears()
        yield linked
    finally:
        talking.cancel()
        await link.close()
        linked.ends()


@asynccontextmanager
async def many_linked(
    server: FakeDiscord, client: discord.Client, count: int, **how: Any
) -> AsyncIterator[list[Linked]]:
    """So many of them at once."""
    async with AsyncExitStack() as stack:
        calls = [linked(server, client, **how) for _ in range(count)]
        yield await asyncio.gather(*map(stack.enter_async_context, calls))


async def talks(person: Person) -> None:
    """Each packet is sealed when it is said, with the keys of that moment; one for
    which there are none any more is not."""
    said = 0
    while True:
        voice = person.voice
        if voice is None or not voice.ready:
            await asyncio.sleep(0.005)
            continue
        announce = None if said % ANNOUNCED_EVERY else SPEAKING
        packet = SOUND[said % len(SOUND)]
        with contextlib.suppress(ValueError):  # a group was dissolved in that moment
            await voice.send([packet], tail=(), announce=announce)
        said += 1


_older: list[threading.Thread] = []


def forget_older_threads() -> None:
    """Those of tests before, whose readers may wait half a minute in vain."""
    _older[:] = threading.enumerate()


def left_over(client: discord.Client) -> list[str]:
    """Threads, tasks and voice clients of any link that is still there."""
    alive = [thread for thread in threading.enumerate() if thread not in _older]
    threads = [thread.name for thread in alive]
    tasks = [task.get_name() for task in asyncio.all_tasks()]
    return [
        *(name for name in threads if name.startswith(THREADS)),
        *(name for name in tasks if name.startswith(TASKS) or name in THEIR_TASKS),
        *(f"voice client of {voice.channel}" for voice in client.voice_clients),
    ]
