"""Two bot processes with a shard each, one Discord and one queue: each serves its own
server and no other, and takes up its own calls only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from fakecord.entities import Channel, Guild
from fakecord.people import Person
from fakecord.server import FakeDiscord
from scene import eventually
from stack import Stack

SHARDS = 2
REPORT = """
import json
from sessions.models import VoiceRequest
rows = VoiceRequest.objects.order_by("pk").select_related("session")
print(json.dumps([
    [r.guild_id, r.holder, r.state, r.session and r.session.state] for r in rows
]))
"""


@dataclass
class Side:
    """A server of one shard, and who records there."""

    server: FakeDiscord
    shard: int
    guild: Guild
    text: Channel
    ann: Person

    @property
    def bot(self) -> str:
        return f"bot{self.shard}"

    @property
    def is_recorded(self) -> bool:
        """Whether the bot sits with them."""
        mine, hers = self.server.world.me(self.guild.id).voice, self.ann.member.voice
        return bool(mine and hers and mine.channel_id == hers.channel_id)

    async def records(self) -> None:
        await self.ann.types(self.text, "record start", within_s=20)


def a_side(server: FakeDiscord, shard: int) -> Side:
    while True:  # by the millisecond in which it is made
        guild = server.world.add_guild(f"Of shard {shard}")
        if (guild.id >> 22) % SHARDS == shard:
            break
    text, voice = server.world.add_text(guild), server.world.add_voice(guild)
    ann = server.person(guild, f"Ann of {shard}")
    ann.joins(voice)
    return Side(server, shard, guild, text, ann)


def start(stack: Stack, side: Side) -> None:
    """A process of its shard."""
    shards = {"SHARD_IDS": str(side.shard), "SHARD_COUNT": str(SHARDS)}
    stack.start("bot", "--only", "discord", called=side.bot, **shards)


async def ready(stack: Stack, side: Side, *, times: int = 1) -> None:
    told = "discord.ready"
    await eventually(lambda: stack.log(side.bot).count(told) == times, within_s=60)


@pytest.fixture
async def town() -> AsyncIterator[tuple[Stack, Side, Side]]:
    async with FakeDiscord() as server:
        sides = [a_side(server, shard) for shard in range(SHARDS)]
        with Stack(
            programs=("web",),
            DISCORD_TOKEN=server.token,
            DISCORD_CONNECTOR="fakecord.connector.from_environment",
            VOICE_MAX_ACTIVE="1",
            TTS="none",
            **server.env,
        ) as stack:
            for side in sides:
                start(stack, side)
            try:
                for side in sides:
                    await ready(stack, side)
                yield stack, sides[0], sides[1]
                await asyncio.to_thread(stack.stop)
            except BaseException:
                print(stack.log("bot0"), stack.log("bot1"))
                raise


async def requests(stack: Stack) -> list[Any]:
    told = await asyncio.to_thread(stack.manage, "shell", "-v0", "-c", REPORT)
    found: list[Any] = json.loads(told.strip())
    return found


async def test_each_shard_serves_its_own_and_waits_for_the_other(
    town: tuple[Stack, Side, Side],
) -> None:
    stack, even, odd = town
    await even.records()
    await eventually(lambda: even.is_recorded, within_s=20)
    await odd.records()
    assert await requests(stack) == [
        [str(even.guild.id), "discord-0", "served", "active"],
        [str(odd.guild.id), "", "waiting", None],
    ]
    assert not odd.is_recorded
    even.ann.leaves()
    await eventually(lambda: odd.is_recorded, within_s=20)
    assert (await requests(stack))[1][:3] == [str(odd.guild.id), "discord-1", "served"]
    assert str(odd.guild.id) not in stack.log(even.bot)
    assert str(even.guild.id) not in stack.log(odd.bot)


async def test_a_shard_that_starts_again_takes_up_its_own_call_alone(
    town: tuple[Stack, Side, Side],
) -> None:
    stack, even, odd = town
    await odd.records()
    await eventually(lambda: odd.is_recorded, within_s=20)
    await asyncio.to_thread(stack.stop_one, even.bot)
    start(stack, even)
    await ready(stack, even, times=2)
    await even.records()  # is asked for once all is taken up
    async with asyncio.timeout(20):
        while len(found := await requests(stack)) == 1:
            continue
    assert found == [
        [str(odd.guild.id), "discord-1", "served", "active"],
        [str(even.guild.id), "", "waiting", None],
    ]
    assert odd.is_recorded
    stack.kill(odd.bot)
    world = odd.server.world
    world.leave(world.me(odd.guild.id))  # as Discord notices
    start(stack, odd)
    await eventually(lambda: odd.is_recorded, within_s=30)
    assert await requests(stack) == found
