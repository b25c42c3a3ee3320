"""Two ends of one Discord call at once are one end; a seeded handful of the thousands
that bench/discord_ends.py runs."""

from __future__ import annotations

import asyncio
import random

import discord_ends as ends
import discord_races as races
import discord_scenes as stage
import pytest
from discord_bot import running
from discord_ends import IN_ONE_GUILD
from discord_scenes import CASES, ROOMS, Scene
from fakecord.server import FakeDiscord
from pytest_django.fixtures import Settings
from scene import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("done_at_once"),
]
SEED = 20_261_121
OFFSET_S = 0.05


def scenes_of(server: FakeDiscord) -> list[Scene]:
    return [stage.a_scene(server, case) for case in CASES]


@pytest.mark.parametrize("batch", range(2))
async def test_two_ways_at_once_end_a_call_once(
    server: FakeDiscord, batch: int
) -> None:
    chance = random.Random(SEED + batch)
    scenes = scenes_of(server)
    async with running(server) as bot:
        await stage.run_all(scenes, bot)
        raced = [
            ends.end(
                scene,
                *chance.sample(IN_ONE_GUILD, 2),
                offsets_s=[chance.uniform(0, OFFSET_S) for _ in range(2)],
            )
            for scene in scenes
        ]
        await asyncio.gather(*raced)
        await ends.nothing_is_left(scenes)


async def test_a_call_that_ends_while_it_begins_ends_once(server: FakeDiscord) -> None:
    chance = random.Random(SEED)
    scenes = scenes_of(server)
    async with running(server) as bot:
        raced = [
            races.end_early(
                scene, bot, chance.choice(IN_ONE_GUILD), wait_s=chance.uniform(0, 0.4)
            )
            for scene in scenes
        ]
        await asyncio.gather(*raced)
        await ends.nothing_is_left(scenes)


async def test_whoever_comes_when_their_time_is_up_is_in_or_out(
    server: FakeDiscord, settings: Settings
) -> None:
    settings.VOICE_TIMEOUT = 3.0
    scenes = [stage.a_scene(server, case) for case in ROOMS * 2]
    offsets = (-2.0, -0.01, 0.0, 0.2)
    async with running(server) as bot:
        raced = (
            races.comes_late(scene, bot, offset_s)
            for scene, offset_s in zip(scenes, offsets, strict=True)
        )
        first, *_, last = await asyncio.gather(*raced)
        await ends.nothing_is_left(scenes)
    assert (first, last) == ("left", "join_timeout")


async def test_time_that_is_up_ends_no_call_that_has_begun(server: FakeDiscord) -> None:
    scene = stage.a_scene(server, ROOMS[0])
    async with running(server) as bot:
        await stage.runs(scene, bot, speaks=False)
        bot.operator._endings.expire(scene.call)
        await eventually(lambda: not bot.operator._endings._tasks)
        assert not scene.call.is_ending
        await ends.end(scene, ends.leave_command)
        await ends.nothing_is_left([scene])


async def test_who_is_in_the_room_before_the_bot_finds_a_call(
    server: FakeDiscord,
) -> None:
    scene = stage.a_scene(server, ROOMS[0])
    async with running(server) as bot:
        await stage.asks(scene, bot)
        me = server.world.me(scene.guild.id)
        voice = await eventually(lambda: me.voice)  # it has hardly begun to connect
        scene.channel_id = voice.channel_id
        assert scene.channel is not None
        scene.ann.joins(scene.channel)
        await stage.goes_on(scene, speaks=False)
        await ends.end(scene, ends.everybody_leaves)
        await ends.nothing_is_left([scene])


async def test_a_process_that_ends_in_the_middle_of_an_end_ends_it_once(
    server: FakeDiscord,
) -> None:
    chance = random.Random(SEED)
    scenes = scenes_of(server)
    async with running(server) as bot:
        await stage.run_all(scenes, bot)
        raced = [
            ends.end(scene, way, offsets_s=[chance.uniform(0, OFFSET_S)])
            for scene, way in zip(scenes, chance.sample(IN_ONE_GUILD, 4), strict=True)
        ]
        late_s = chance.uniform(0, OFFSET_S)
        stop = ends.end(scenes[0], ends.shut_down, offsets_s=[late_s])
        await asyncio.gather(*raced, stop)
        for scene in scenes:
            scene.reasons.add("shut_down")
        await ends.nothing_is_left(scenes)


async def test_a_process_that_dies_in_the_middle_of_an_end_leaves_it_to_the_next(
    server: FakeDiscord,
) -> None:
    chance = random.Random(SEED)
    scenes = scenes_of(server)
    ways = chance.sample(races.MORTAL, len(scenes))
    await races.end_in_death(scenes, server, ways, chance=chance, within_s=4 * OFFSET_S)
    async with running(server) as bot:
        await races.end_after_death(scenes, bot)
        await ends.nothing_is_left(scenes)
