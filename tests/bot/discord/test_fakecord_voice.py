"""The test Discord's voice: does a discord.py nobody has changed believe it?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import discord
import numpy as np
import pytest
import pytest_asyncio
from fakecord.bot import Reader, connected, gone, known, logged_in, secured, until
from fakecord.entities import Channel, Guild
from fakecord.people import Person
from fakecord.room import CLIENT_CONNECT
from fakecord.rtp import opus
from fakecord.server import FakeDiscord
from fakecord.voice import Road

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


# in and out, and what is heard


async def test_the_bot_joins_and_leaves_a_channel(
    client: discord.Client, server: FakeDiscord, guild: Guild, voice: Channel
) -> None:
    async with connected(client, voice) as vc:
        assert vc.is_connected()
        assert vc._connection.dave_protocol_version == 1
        state = server.world.me(guild.id).voice
        assert state is not None
        assert state.self_mute
    assert server.world.me(guild.id).voice is None
    await until(lambda: not server.voice.room(voice.id).parties)


@pytest.mark.parametrize("first", ["bot", "member"])
@pytest.mark.parametrize("founder", ["bot", "member"])
async def test_a_member_is_heard_through_both_encryptions(
    client: discord.Client,
    server: FakeDiscord,
    voice: Channel,
    ann: Person,
    first: str,
    founder: str,
) -> None:
    ann.latency_s, ann.commits = 0.0, founder == "member"
    if first == "member":
        ann.joins(voice)
    async with connected(client, voice) as vc:
        if first == "bot":
            ann.joins(voice)
        await secured(server, vc, ann)
        wanted = ann.id if founder == "member" else server.world.bot.id
        assert server.voice.room(voice.id).delivery.committed == [wanted]
        reader = Reader(vc, ann.id)
        said = opus(TONE)
        await ann.sends(said, road=Road(padding=7, extended=True), fast=True)
        await until(lambda: len(reader.opus) == len(said) + 5)
        assert reader.voice == said
        assert vc.voice_privacy_code == _privacy_code(ann)


def _privacy_code(person: Person) -> str | None:
    assert person.voice is not None
    assert person.voice.session is not None
    return person.voice.session.voice_privacy_code


async def test_the_road_loses_swaps_and_doubles_as_written(
    client: discord.Client, server: FakeDiscord, voice: Channel, ann: Person
) -> None:
    ann.joins(voice)
    async with connected(client, voice) as vc:
        await secured(server, vc, ann)
        reader = Reader(vc, ann.id)
        only = frozenset
        bad = Road(lost=only({1}), swapped=only({3}), doubled=only({5}))
        await ann.sends(
            opus(TONE), road=bad, tail=(), announce=CLIENT_CONNECT, fast=True
        )
        await until(lambda: len(reader.sequences) == 10)
        first = reader.sequences[0]
        order = [number - first for number in reader.sequences]
        assert order == [0, 2, 4, 3, 5, 5, 6, 7, 8, 9]
        assert reader.failed == 1  # a frame opens once


async def test_a_stage_passes_plain_opus(
    client: discord.Client, server: FakeDiscord, guild: Guild, ann: Person
) -> None:
    stage = server.world.add_stage(guild)
    ann.joins(stage)
    async with connected(client, stage) as vc:
        assert vc._connection.dave_protocol_version == 0
        reader = Reader(vc, ann.id)
        said = opus(TONE)
        await ann.sends(said, fast=True)
        await until(lambda: len(reader.voice) == len(said))
        assert reader.voice == said


async def test_members_hear_what_the_bot_says(
    client: discord.Client, server: FakeDiscord, voice: Channel, ann: Person
) -> None:
    ann.joins(voice)
    async with connected(client, voice) as vc:
        await secured(server, vc, ann)
        said = opus(TONE)
        for packet in said:
            vc.send_audio_packet(packet, encode=False)
        await until(lambda: len(ann.heard) == len(said))
        assert [one.opus for one in ann.heard] == said


async def test_members_come_go_and_come_back(
    client: discord.Client,
    server: FakeDiscord,
    guild: Guild,
    voice: Channel,
    ann: Person,
) -> None:
    bob, eve = server.person(guild, "Bob"), server.person(guild, "Eve")
    ann.joins(voice)
    bob.joins(voice)
    async with connected(client, voice) as vc:
        await secured(server, vc, ann, bob)
        eve.joins(voice)
        await secured(server, vc, ann, bob, eve)
        ann.leaves()
        bob.leaves()
        await secured(server, vc, eve)
        eve.leaves()
        await until(lambda: not server.voice.room(voice.id).delivery.group)
        ann.joins(voice)
        await secured(server, vc, ann)
        reader = Reader(vc, ann.id)
        await ann.says(TONE, fast=True)
        await until(lambda: len(reader.voice) == 10)
        assert not server.voice.room(voice.id).delivery.refused


async def test_who_is_back_at_once_is_taken_in_again(
    client: discord.Client,
    server: FakeDiscord,
    guild: Guild,
    voice: Channel,
    ann: Person,
) -> None:
    bob = server.person(guild, "Bob")
    ann.joins(voice)
    bob.joins(voice)
    async with connected(client, voice) as vc:
        await secured(server, vc, ann, bob)
        bob.leaves()
        bob.joins(voice)
        await secured(server, vc, ann, bob)
        reader = Reader(vc, bob.id)
        await bob.says(TONE, fast=True)
        await until(lambda: len(reader.voice) == 10)


async def test_op_31_brings_the_bot_back_into_the_group(
    client: discord.Client, server: FakeDiscord, voice: Channel, ann: Person
) -> None:
    ann.joins(voice)
    async with connected(client, voice) as vc:
        await secured(server, vc, ann)
        await ann.sends(opus(TONE)[:2], road=Road(broken=True), fast=True)
        await vc._connection._recover_from_invalid_commit(1)
        await until(lambda: not vc._connection.can_encrypt)
        await secured(server, vc, ann)
        group = server.voice.room(voice.id).delivery
        assert group.invalid == [server.world.bot.id]
        reader = Reader(vc, ann.id)
        await ann.says(TONE, fast=True)
        await until(lambda: len(reader.voice) == 10)


async def test_a_call_goes_back_to_plain_voice_and_forth(
    client: discord.Client, server: FakeDiscord, voice: Channel, ann: Person
) -> None:
    ann.joins(voice)
    async with connected(client, voice) as vc:
        await secured(server, vc, ann)
        group = server.voice.room(voice.id).delivery
        group.downgrade()
        await until(lambda: vc._connection.dave_protocol_version == 0)
        await until(lambda: ann.voice and ann.voice.plain)
        vc.send_audio_packet(b"\xf8plain", encode=False)
        await until(lambda: [one.opus for one in ann.heard] == [b"\xf8plain"])
        group.upgrade()
        await until(lambda: ann.voice and not ann.voice.plain)
        await secured(server, vc, ann)
        assert vc._connection.dave_protocol_version == 1


async def test_a_refusal_has_its_code(
    client: discord.Client, server: FakeDiscord, voice: Channel
) -> None:
    server.voice.refuses_with = 4017
    try:
        with pytest.raises(discord.ConnectionClosed) as caught:
            async with connected(client, voice):
                pass
    finally:
        server.voice.refuses_with = None
    assert caught.value.code == 4017


async def test_who_may_resume_keeps_its_place_until_it_leaves(
    client: discord.Client, server: FakeDiscord, voice: Channel, ann: Person
) -> None:
    ann.joins(voice)
    found = await known(client, voice)
    vc = await found.connect(reconnect=False, self_mute=True, timeout=0.5)
    await secured(server, vc, ann)
    runner: Any = vc._connection._runner
    server.voice.close(4015)
    await until(lambda: not server.voice.live(voice.id))
    assert len(server.voice.room(voice.id).delivery.group) == 2
    await asyncio.wait([runner], timeout=5)  # discord.py's resume never succeeds
    assert not vc.is_connected()
    await until(lambda: list(server.voice.room(voice.id).parties) == [ann.id])


async def test_a_voice_session_can_be_resumed(
    server: FakeDiscord, voice: Channel
) -> None:
    count = len(server.voice.connections)
    allowed = server.voice.admit(voice.guild_id, voice.id, "session")
    ids = {"token": allowed.token, "session_id": "session", "user_id": "1"}
    hello = {"max_dave_protocol_version": 1, **ids}
    async with aiohttp.ClientSession(connector=server.connector()) as session:
        for op, answer in ((0, 2), (7, 9)):
            async with session.ws_connect("wss://voice.discord.media/?v=8") as socket:
                await socket.send_json({"op": op, "d": hello})
                assert (await socket.receive_json(timeout=2))["op"] == 8
                assert (await socket.receive_json(timeout=2))["op"] == answer
                server.voice.close(4015)
                await socket.receive(timeout=2)
                assert socket.close_code == 4015
    assert len(server.voice.connections) == count + 1


async def test_a_full_channel_says_nothing(
    client: discord.Client, server: FakeDiscord, guild: Guild, ann: Person
) -> None:
    full = server.world.add_voice(guild, "Full", limit=1)
    server.world.allow(guild, (1 << 10) | (1 << 20))
    ann.joins(full)
    found = await known(client, full)
    with pytest.raises(TimeoutError):
        await found.connect(reconnect=False, timeout=0.2)


async def test_a_kick_ends_the_connection(
    client: discord.Client, server: FakeDiscord, guild: Guild, voice: Channel
) -> None:
    async with connected(client, voice) as vc:
        server.world.kick(server.world.me(guild.id))
        await until(lambda: not vc.is_connected())
        await until(lambda: vc.guild.voice_client is None)


async def test_a_deleted_channel_ends_the_connection(
    client: discord.Client,
    server: FakeDiscord,
    guild: Guild,
    voice: Channel,
    ann: Person,
) -> None:
    async with connected(client, voice) as vc:
        ann.joins(voice)
        await secured(server, vc, ann)
        server.world.delete_channel(voice)
        await until(lambda: not vc.is_connected())
        assert ann.voice is None


async def test_a_moderator_takes_the_bot_elsewhere(
    client: discord.Client,
    server: FakeDiscord,
    guild: Guild,
    voice: Channel,
    ann: Person,
) -> None:
    other = server.world.add_voice(guild, "Other")
    async with connected(client, voice) as vc:
        ann.joins(other)
        server.world.move(server.world.me(guild.id), other)
        await until(lambda: server.voice.live(other.id))
        await secured(server, vc, ann)
        assert vc.channel.id == other.id
        reader = Reader(vc, ann.id)
        await ann.says(TONE, fast=True)
        await until(lambda: len(reader.voice) == 10)


@pytest.mark.parametrize("names", [(), ("Bob", "Eve")])
async def test_the_voice_server_changes(
    client: discord.Client,
    server: FakeDiscord,
    guild: Guild,
    voice: Channel,
    ann: Person,
    names: tuple[str, ...],
) -> None:
    people = [ann, *(server.person(guild, name) for name in names)]
    async with connected(client, voice) as vc:
        for person in people:
            person.joins(voice)
        await secured(server, vc, *people)
        count = len(server.voice.connections)
        server.change_voice_server(guild)
        await until(lambda: len(server.voice.connections) == count + 1)
        await until(vc.is_connected)
        await secured(server, vc, *people)


@pytest.mark.parametrize("code", [4006, 4009, 1000])
async def test_the_voice_gateway_closes_as_asked(
    client: discord.Client, server: FakeDiscord, voice: Channel, code: int
) -> None:
    async with connected(client, voice) as vc:
        runner: Any = vc._connection._runner
        server.voice.close(code)
        await asyncio.wait([runner], timeout=5)
        assert not vc.is_connected()
        if code != 1000:
            assert runner.exception().code == code


async def test_a_voice_line_that_breaks_is_joined_anew(
    client: discord.Client, server: FakeDiscord, voice: Channel, ann: Person
) -> None:
    ann.joins(voice)
    async with connected(client, voice) as vc:
        await secured(server, vc, ann)
        runner: Any = vc._connection._runner
        server.voice.cut()
        await asyncio.wait([runner], timeout=5)
        assert runner.exception() is not None
    await gone(server, voice)
    async with connected(client, voice) as vc:
        await secured(server, vc, ann)
