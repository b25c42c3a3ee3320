"""The test Discord's gateway: does discord.py come through what it does to it?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import discord
import pytest
from fakecord.bot import (
    INTENTS,
    Eager,
    EagerShards,
    connected,
    gone,
    known,
    logged_in,
    until,
)
from fakecord.entities import Channel, Guild
from fakecord.people import Person
from fakecord.server import FakeDiscord


@pytest.fixture
async def server() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord(latency_s=0.0) as server:
        yield server


# lines


@pytest.mark.parametrize("way", ["op 7", "op 9 true", "cut", "4000"])
async def test_a_login_is_resumed_with_all_that_was_missed(
    server: FakeDiscord, guild: Guild, way: str
) -> None:
    async with logged_in(server) as client:
        match way:
            case "op 7":
                server.gateway.ask_to_reconnect()
            case "op 9 true":
                server.gateway.invalidate(resumable=True)
            case "cut":
                server.gateway.cut()
            case _:
                server.gateway.close(int(way))
        made = server.world.add_text(guild, "made while away")
        await known(client, made)
        await until(lambda: server.gateway.resumed == 1)
        assert server.gateway.identified == 1


async def test_a_login_that_was_forgotten_begins_anew(
    server: FakeDiscord, guild: Guild
) -> None:
    async with logged_in(server) as client:
        server.gateway.cut()
        server.gateway.forget()
        made = server.world.add_text(guild, "made while away")
        await until(lambda: server.gateway.identified == 2)
        await known(client, made)
        assert server.gateway.resumed == 0


async def test_a_line_that_is_open_and_dead_is_left_and_resumed(
    server: FakeDiscord, guild: Guild
) -> None:
    server.gateway.heartbeat_s = 0.05
    async with logged_in(server, heartbeat_timeout=0.2) as client:
        await until(lambda: server.gateway.heartbeats > 1)
        server.gateway.go_silent()
        made = server.world.add_text(guild, "made while away")
        await known(client, made)
        assert server.gateway.resumed == 1


async def test_unanswered_heartbeats_make_the_bot_reconnect(
    server: FakeDiscord, guild: Guild
) -> None:
    server.gateway.heartbeat_s = 0.05
    async with logged_in(server, heartbeat_timeout=0.2):
        server.gateway.answers_heartbeats = False
        await until(lambda: server.gateway.resumed)


@pytest.mark.parametrize("code", [4004, 4013])
async def test_a_login_is_refused_with_the_code_asked_for(
    server: FakeDiscord, code: int
) -> None:
    server.gateway.refuses_with = code
    with pytest.raises(discord.ConnectionClosed) as caught:
        await _connect(server, INTENTS)
    assert caught.value.code == code


async def test_a_token_that_was_changed_meanwhile_is_4004(server: FakeDiscord) -> None:
    async with discord.Client(intents=INTENTS, connector=server.connector()) as client:
        await client.login(server.token)
        client.http.token = "another"
        with pytest.raises(discord.ConnectionClosed) as caught:
            await asyncio.wait_for(client.connect(), 5)
    assert caught.value.code == 4004


async def test_intents_that_the_portal_allows_are_taken(
    server: FakeDiscord, guild: Guild, ann: Person, text: Channel
) -> None:
    intents = INTENTS | discord.Intents(messages=True, message_content=True)
    with pytest.raises(discord.PrivilegedIntentsRequired):
        await _connect(server, intents)
    server.gateway.privileged = discord.Intents(message_content=True).value
    async with logged_in(server, intents=intents) as client:
        heard: asyncio.Future[str] = client.loop.create_future()

        async def on_message(message: discord.Message) -> None:
            heard.set_result(message.content)

        client.event(on_message)
        ann.writes(text, "!voice")
        assert await asyncio.wait_for(heard, 2) == "!voice"


async def _connect(server: FakeDiscord, intents: discord.Intents) -> None:
    async with discord.Client(intents=intents, connector=server.connector()) as client:
        await client.login(server.token)
        await asyncio.wait_for(client.connect(), 5)


# what a login carries


@pytest.mark.parametrize(("kind", "out"), [(EagerShards, True), (Eager, False)])
async def test_who_logs_out_is_out_of_voice(
    server: FakeDiscord, voice: Channel, kind: type[discord.Client], out: bool
) -> None:
    """discord.py's client without shards closes with 4000, by a race with itself."""
    me = server.world.me(voice.guild_id)
    async with logged_in(server, kind):
        server.world.join(me, voice, session_id=server.gateway.live[0].id)
    await until(lambda: not any(s.line for s in server.gateway.sessions.values()))
    assert (me.voice is None) == out
    server.gateway.forget()
    assert me.voice is None


async def test_who_was_killed_is_in_voice_until_the_login_is_forgotten(
    server: FakeDiscord, voice: Channel
) -> None:
    me = server.world.me(voice.guild_id)
    async with logged_in(server) as client, connected(client, voice) as vc:
        server.gateway.cut()
        assert me.voice is not None
        server.gateway.forget()
        assert me.voice is None
        await until(lambda: not server.voice.live())
        await vc._connection.disconnect()


async def test_a_bot_that_starts_anew_finds_itself_in_voice(
    server: FakeDiscord, voice: Channel, ann: Person
) -> None:
    me = server.world.me(voice.guild_id)
    server.world.join(me, voice, session_id="of a process that was killed")
    ann.joins(voice)
    async with logged_in(server) as client:
        found = await known(client, voice)
        assert {member.id for member in found.members} == {me.id, ann.id}
        async with connected(client, voice) as vc:
            assert vc.is_connected()
            assert me.voice is not None
            assert me.voice.session_id in server.gateway.sessions


async def test_a_new_gateway_session_leaves_voice_to_be_joined_again(
    server: FakeDiscord, voice: Channel
) -> None:
    async with logged_in(server) as client:
        async with connected(client, voice) as vc:
            server.gateway.invalidate()
            await until(lambda: server.gateway.identified == 2, within_s=12)
            await until(lambda: client.get_channel(voice.id))
            # Nobody passes it events any more: it would wait for one for ten seconds.
            await vc._connection.disconnect()
        await gone(server, voice)
        async with connected(client, voice) as vc:
            assert vc.is_connected()


async def test_a_presence_is_kept(server: FakeDiscord, guild: Guild) -> None:
    async with logged_in(server, activity=discord.Game("waiting")) as client:
        await until(lambda: server.gateway.presence)
        assert server.gateway.presence is not None
        assert server.gateway.presence["game"]["name"] == "waiting"
        await client.change_presence(activity=discord.Game("recording"))
        await until(lambda: "activities" in (server.gateway.presence or {}))
        (activity,) = server.gateway.presence["activities"]
        assert activity["name"] == "recording"


# guilds


async def test_each_shard_hears_of_its_own_guilds(server: FakeDiscord) -> None:
    guilds = [server.world.add_guild(f"Guild {number}") for number in range(5)]
    for guild in guilds[:-1]:
        server.world.add_text(guild)
    server.world.shards = 2
    async with logged_in(server, EagerShards) as client:
        assert isinstance(client, EagerShards)
        assert client.shard_count == 2
        limits = await client.fetch_session_start_limits()
        assert limits.max_concurrency == 1
        await until(lambda: len(client.guilds) == 5)
        sessions = {s.shard: s for s in server.gateway.sessions.values()}
        for guild in guilds:
            wanted = (guild.id >> 22) % 2
            text = server.world.add_text(guild)
            await known(client, text)
            for shard in range(2):
                told = [m["d"].get("guild_id") for m in sessions[shard, 2].sent]
                assert (str(guild.id) in told) == (shard == wanted)
        server.world.shards = 1


async def test_a_command_reaches_the_shard_of_its_guild(server: FakeDiscord) -> None:
    server.world.shards = 2
    guilds = [server.world.add_guild(f"Guild {number}") for number in range(3)]
    places = [(server.person(g, "Ann"), server.world.add_text(g)) for g in guilds]
    async with logged_in(server, EagerShards) as client:
        tree = discord.app_commands.CommandTree(client)

        @tree.command(name="echo", description="Says it again")
        async def echo(interaction: discord.Interaction) -> None:
            await interaction.response.send_message("hello")

        for ann, text in places:
            shown = await (await ann.types(text, "echo")).shown()
            assert shown.content == "hello"


async def test_an_outage_takes_a_guild_away_and_brings_it_back(
    server: FakeDiscord, guild: Guild, text: Channel
) -> None:
    elsewhere = server.world.add_guild("Elsewhere")
    async with logged_in(server) as client:
        found = client.get_guild(guild.id)
        assert found is not None
        server.world.take_down(guild)
        await until(lambda: found.unavailable)
        made = server.world.add_voice(guild, "made meanwhile")
        await known(client, server.world.add_text(elsewhere))
        assert client.get_channel(made.id) is None
        server.world.bring_back(guild)
        await known(client, made)
        back = client.get_guild(guild.id)
        assert back is not None
        assert not back.unavailable


async def test_a_bot_that_is_thrown_out_has_no_guild(
    server: FakeDiscord, guild: Guild, voice: Channel
) -> None:
    boss = server.moderator(guild)
    async with logged_in(server) as client, connected(client, voice) as vc:
        boss.throws_the_bot_out()
        await until(lambda: client.get_guild(guild.id) is None)
        await until(lambda: not vc.is_connected())
        with pytest.raises(discord.NotFound):
            await client.fetch_channel(voice.id)


async def test_members_are_asked_for_by_id_and_by_name(
    server: FakeDiscord, guild: Guild, ann: Person
) -> None:
    anton = server.person(guild, "Anton")
    async with logged_in(server) as client:
        found = client.get_guild(guild.id)
        assert found is not None
        assert found.get_member(ann.id) is None
        by_id = await found.query_members(user_ids=[ann.id])
        assert [member.id for member in by_id] == [ann.id]
        by_name = await found.query_members("ant")
        assert [member.id for member in by_name] == [anton.id]
