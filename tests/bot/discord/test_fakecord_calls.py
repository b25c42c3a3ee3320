"""The test Discord's calls: do they break as told, and do people act as told?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import discord
import numpy as np
import pytest
import pytest_asyncio
from fakecord.bot import Reader, connected, gone, known, logged_in, secured, until
from fakecord.entities import Channel, Guild
from fakecord.people import Person
from fakecord.rtp import opus
from fakecord.server import FakeDiscord

pytestmark = pytest.mark.asyncio(loop_scope="module")
TONE = (8_000 * np.sin(np.arange(9_600) / 20)).astype(np.int16)  # 0.2 s


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord(latency_s=0.005) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(server: FakeDiscord) -> AsyncIterator[discord.Client]:
    async with logged_in(server) as client:
        yield client


# how calls end


@pytest.mark.parametrize("code", [1000, 1001, 4006, 4009, 4014, 4015, 4017, 4021, 4022])
async def test_each_code_reaches_the_bot(
    client: discord.Client, server: FakeDiscord, voice: Channel, code: int
) -> None:
    async with connected(client, voice) as vc:
        ws: Any = vc._connection.ws
        server.voice.close(code, guild_id=voice.guild_id)
        async with asyncio.timeout(5):
            # At each turn of the loop: a moment later it may be 1006.
            while ws.ws.close_code is None:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0)
        assert ws.ws.close_code == code
        assert not server.voice.live(guild_id=voice.guild_id)
        await vc._connection.disconnect()  # 4014 and 4015 would wait for a moment


async def test_one_guilds_call_ends_and_anothers_does_not(
    client: discord.Client, server: FakeDiscord, guild: Guild, voice: Channel
) -> None:
    elsewhere = server.world.add_voice(server.world.add_guild("Elsewhere"))
    async with connected(client, voice), connected(client, elsewhere) as other:
        server.voice.cut(guild_id=guild.id)
        await until(lambda: not server.voice.live(guild_id=guild.id))
        assert other.is_connected()


async def test_a_dead_road_swallows_packets_both_ways(
    client: discord.Client, server: FakeDiscord, voice: Channel, ann: Person
) -> None:
    ann.joins(voice)
    async with connected(client, voice) as vc:
        await secured(server, vc, ann)
        reader = Reader(vc, ann.id)
        said = opus(TONE)
        server.udp.silent = True
        vc.send_audio_packet(said[0], encode=False)
        await ann.sends(said[:5], fast=True, tail=())
        server.udp.silent = False
        await ann.sends(said[5:], fast=True, tail=())
        vc.send_audio_packet(said[1], encode=False)
        await until(lambda: reader.voice == said[5:])
        await until(lambda: [one.opus for one in ann.heard] == [said[1]])


@pytest.mark.parametrize("code", [None, 1001])
async def test_a_voice_server_restarts(
    client: discord.Client, server: FakeDiscord, voice: Channel, code: int | None
) -> None:
    guild = server.world.guilds[voice.guild_id]
    async with connected(client, voice) as vc:
        runner: Any = vc._connection._runner
        server.restart_voice(guild, code=code)
        await until(lambda: not server.voice.live(guild_id=guild.id))
        await asyncio.wait([runner], timeout=5)
        assert not vc.is_connected()
    await gone(server, voice)
    async with connected(client, voice) as vc:
        assert vc.is_connected()


# what moderators do


async def test_a_moderator_disconnects_a_member_and_the_bot(
    client: discord.Client, server: FakeDiscord, voice: Channel, ann: Person
) -> None:
    boss = server.moderator(server.world.guilds[voice.guild_id])
    ann.joins(voice)
    async with connected(client, voice) as vc:
        boss.disconnects(ann)
        assert ann.channel is None
        await until(lambda: len(vc.channel.members) == 1)
        boss.disconnects(boss.bot)
        await until(lambda: not vc.is_connected())


async def test_a_moderator_deletes_the_channel(
    client: discord.Client, server: FakeDiscord, guild: Guild, voice: Channel
) -> None:
    async with connected(client, voice) as vc:
        server.moderator(guild).deletes(voice)
        await until(lambda: not vc.is_connected())
        await until(lambda: client.get_channel(voice.id) is None)


async def test_a_moderator_takes_people_where_they_could_not_go(
    client: discord.Client, server: FakeDiscord, guild: Guild, ann: Person
) -> None:
    here, there = server.world.add_voice(guild), server.world.add_voice(guild)
    boss = server.moderator(guild)
    boss.hides(there, boss)
    ann.joins(here)
    boss.moves(ann, there)
    assert ann.channel is there
    found = await known(client, there)
    await until(lambda: [member.id for member in found.members] == [ann.id])


async def test_whom_a_moderator_mutes_nobody_hears(
    client: discord.Client, server: FakeDiscord, voice: Channel, ann: Person
) -> None:
    boss = server.moderator(server.world.guilds[voice.guild_id])
    ann.joins(voice)
    async with connected(client, voice) as vc:
        await secured(server, vc, ann)
        reader, said = Reader(vc, ann.id), opus(TONE)
        boss.mutes(ann)
        boss.mutes(boss.bot)
        await until(lambda: vc.guild.me.voice and vc.guild.me.voice.mute)
        vc.send_audio_packet(said[0], encode=False)
        await ann.sends(said[:5], fast=True, tail=())
        boss.mutes(ann, mute=False)
        boss.mutes(boss.bot, mute=False)
        await ann.sends(said[5:], fast=True, tail=())
        vc.send_audio_packet(said[1], encode=False)
        await until(lambda: reader.voice == said[5:])
        await until(lambda: [one.opus for one in ann.heard] == [said[1]])


async def test_whom_a_moderator_deafens_hears_nobody(
    client: discord.Client, server: FakeDiscord, voice: Channel, ann: Person
) -> None:
    boss = server.moderator(server.world.guilds[voice.guild_id])
    ann.joins(voice)
    async with connected(client, voice) as vc:
        await secured(server, vc, ann)
        reader, said = Reader(vc, ann.id), opus(TONE)
        boss.deafens(boss.bot)
        await until(lambda: vc.guild.me.voice and vc.guild.me.voice.deaf)
        await ann.sends(said[:5], fast=True, tail=())
        boss.deafens(boss.bot, deaf=False)
        await ann.sends(said[5:], fast=True, tail=())
        await until(lambda: reader.voice == said[5:])


async def test_who_is_muted_stays_muted_in_another_channel(
    server: FakeDiscord, guild: Guild, voice: Channel, ann: Person
) -> None:
    other = server.world.add_voice(guild)
    ann.joins(voice)
    server.moderator(guild).mutes(ann)
    ann.joins(other)
    assert ann.member.voice is not None
    assert ann.member.voice.mute


# what members do


async def test_words_are_spoken_in_real_time_or_as_fast_as_they_are_read(
    client: discord.Client, server: FakeDiscord, voice: Channel, ann: Person
) -> None:
    ann.joins(voice)
    async with connected(client, voice) as vc:
        await secured(server, vc, ann)
        reader, loop = Reader(vc, ann.id), asyncio.get_running_loop()
        long = np.tile(TONE, 20)  # 4 s
        began = loop.time()
        await ann.says(long, fast=True)
        assert loop.time() - began < 3
        await until(lambda: len(reader.voice) == 200)
        began = loop.time()
        await ann.says(TONE, tail=())
        assert loop.time() - began >= 0.18
        await until(lambda: len(reader.voice) == 210)
        assert reader.failed == 0


async def test_who_does_not_listen_speaks_all_the_same(
    client: discord.Client, server: FakeDiscord, guild: Guild, ann: Person
) -> None:
    voice, ben = server.world.add_voice(guild), server.person(guild, "Ben")
    ann.listens = False
    for person in (ann, ben):
        person.joins(voice)
    async with connected(client, voice) as vc:
        await secured(server, vc, ann, ben)
        reader, said = Reader(vc, ann.id), opus(TONE)
        vc.send_audio_packet(said[0], encode=False)
        await ann.sends(said, fast=True)
        await until(lambda: reader.voice == said and len(ben.heard) > len(said))
        assert not ann.heard


async def test_people_come_move_and_go_before_the_bots_eyes(
    client: discord.Client, server: FakeDiscord, guild: Guild, ann: Person
) -> None:
    one, two = server.world.add_voice(guild), server.world.add_voice(guild)
    first, second = await known(client, one), await known(client, two)
    ann.joins(one, mute=True)
    await until(lambda: first.members)
    assert first.members[0].voice.self_mute
    ann.joins(two)
    await until(lambda: second.members and not first.members)
    ann.leaves()
    await until(lambda: not second.members)
