"""The least a bot needs to be tried against the test Discord: to log in, to hear."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import davey
import discord
import nacl.secret
from scene import eventually

from fakecord.entities import Channel
from fakecord.people import Person
from fakecord.rtp import SILENCE
from fakecord.server import FakeDiscord

INTENTS = discord.Intents(guilds=True, voice_states=True)
until = partial(eventually, within_s=5.0)


class Eager(discord.Client):
    """Logs in anew at once; discord.py's own waits five seconds before each time."""

    async def before_identify_hook(
        self, shard_id: int | None, *, initial: bool = False
    ) -> None:
        """Discord's limit on logins is not held here."""


class EagerShards(Eager, discord.AutoShardedClient):
    """The same in as many shards as it is told, or as Discord advises."""


class Reader:
    """The least a bot has to do to hear: one list of Opus per speaker's SSRC."""

    def __init__(self, vc: discord.VoiceClient, user_id: int) -> None:
        self.opus: list[bytes] = []
        self.sequences: list[int] = []
        self.failed = 0
        self._vc = vc
        self._user_id = user_id
        vc._connection.add_socket_listener(self._take)

    def _take(self, data: bytes) -> None:
        if data[0] >> 6 != 2 or data[1] & 0x7F != 0x78:
            return
        self.sequences.append(int.from_bytes(data[2:4], "big"))
        size = 12 + 4 * (data[0] >> 4 & 1)
        nonce = data[-4:].ljust(24, b"\0")
        box = nacl.secret.Aead(bytes(self._vc.secret_key))
        media = box.decrypt(data[size:-4], data[:size], nonce)
        if data[0] & 0x20:
            media = media[: -media[-1]]
        if data[0] & 0x10:
            media = media[4 * int.from_bytes(data[14:16], "big") :]
        session = self._vc._connection.dave_session
        if session is not None and media != SILENCE:
            try:
                media = session.decrypt(self._user_id, davey.MediaType.audio, media)
            except ValueError:
                self.failed += 1
                return
        self.opus.append(media)

    @property
    def voice(self) -> list[bytes]:
        """What was said, without the silence behind it."""
        return [packet for packet in self.opus if packet != SILENCE]


@asynccontextmanager
async def logged_in(
    server: FakeDiscord, kind: type[discord.Client] = Eager, **options: Any
) -> AsyncIterator[discord.Client]:
    """A bot that knows its guilds, for as long as the block lasts."""
    defaults: dict[str, Any] = {"intents": INTENTS, "guild_ready_timeout": 0.02}
    client = kind(connector=server.connector(), **defaults | options)
    async with client:
        await client.login(server.token)
        running = asyncio.create_task(client.connect())
        async with asyncio.timeout(5):
            await client.wait_until_ready()
        # Where the machine is slow, it does not wait for them by itself.
        await until(lambda: all(map(client.get_guild, _there(server))))
        yield client
    await asyncio.wait([running], timeout=5)


def _there(server: FakeDiscord) -> list[int]:
    return [one.id for one in server.world.guilds.values() if one.available]


async def known(client: discord.Client, channel: Channel) -> Any:
    """The channel as the client has it, once it has heard of it."""
    return await until(lambda: client.get_channel(channel.id))


@asynccontextmanager
async def connected(
    client: discord.Client, channel: Channel
) -> AsyncIterator[discord.VoiceClient]:
    found = await known(client, channel)
    vc = await found.connect(reconnect=False, self_mute=True, timeout=10)
    # discord.py never asks how it ended: its end would be told long after, in whatever
    # test Python tidies up.
    vc._connection._runner.add_done_callback(_asked)
    try:
        yield vc
    finally:
        if vc.is_connected():  # else it waits ten seconds for an event in vain
            await vc.disconnect()


def _asked(task: asyncio.Task[None]) -> None:
    _ = task.cancelled() or task.exception()


async def gone(server: FakeDiscord, channel: Channel) -> None:
    """Wait for the end of a farewell: its event would end the next connection too."""
    await until(lambda: server.world.me(channel.guild_id).voice is None)
    await asyncio.sleep(2 * server.latency_s)


async def secured(
    server: FakeDiscord, vc: discord.VoiceClient, *people: Person
) -> None:
    """Wait until the bot and all of them are in one group."""
    for person in people:
        await person.secured(with_whom=server.world.bot.id)
    wanted = {str(server.world.bot.id), *(str(one.id) for one in people)}
    session: Any = vc._connection.dave_session
    await until(lambda: session.ready and set(session.get_user_ids()) == wanted)
    await until(lambda: server.voice.room(vc.channel.id).delivery.settled)
    await asyncio.sleep(2 * server.latency_s)  # until the last word has arrived
