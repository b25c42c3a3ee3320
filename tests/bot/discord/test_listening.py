"""Our connection in the test Discord's calls: every voice, under its own name."""

from __future__ import annotations

import asyncio

import pytest
from discord_hearing import listening, tone
from fakecord.bot import logged_in, secured, until
from fakecord.entities import Channel, Guild
from fakecord.people import Person
from fakecord.server import FakeDiscord
from fakecord.voice import Road


@pytest.fixture
def ben(server: FakeDiscord, guild: Guild) -> Person:
    return server.person(guild, "Ben")


async def test_who_speaks_together_is_heard_under_their_own_names(
    server: FakeDiscord, voice: Channel, ann: Person, ben: Person
) -> None:
    async with logged_in(server) as client:
        for person in (ann, ben):
            person.joins(voice)
        async with listening(client, voice) as call:
            await secured(server, call.client, ann, ben)
            road = Road(padding=5, extended=True)
            await asyncio.gather(
                ann.sends(tone(1), road=road), ben.sends(tone(2), road=road)
            )
            await until(lambda: len(call.said(ann)) == len(call.said(ben)) == 10)
            assert (call.said(ann), call.said(ben)) == (tone(1), tone(2))
            assert call.client.receiver.traffic.transport_failed == 0


async def test_whom_the_gateway_never_named_is_known_by_their_key(
    server: FakeDiscord, voice: Channel, ann: Person, ben: Person
) -> None:
    async with logged_in(server) as client:
        for person in (ann, ben):
            person.joins(voice)
        async with listening(client, voice) as call:
            await secured(server, call.client, ann, ben)
            await ann.sends(tone(1), announce=None)
            await until(lambda: len(call.said(ann)) == 10)
            assert call.said(ann) == tone(1)
            assert not call.said(ben)


async def test_a_stage_is_heard_without_encryption(
    server: FakeDiscord, guild: Guild, ann: Person
) -> None:
    stage = server.world.add_stage(guild)
    async with logged_in(server) as client:
        ann.joins(stage)
        async with listening(client, stage) as call:
            await ann.sends(tone(1))
            await until(lambda: call.said(ann) == tone(1))


async def test_who_opted_out_is_not_heard(
    server: FakeDiscord, voice: Channel, ann: Person, ben: Person
) -> None:
    async with logged_in(server) as client:
        for person in (ann, ben):
            person.joins(voice)
        async with listening(client, voice) as call:
            call.refused.add(ann.id)
            await secured(server, call.client, ann, ben)
            await asyncio.gather(ann.sends(tone(1)), ben.sends(tone(2)))
            await until(lambda: call.said(ben) == tone(2))
            assert not call.said(ann)
            assert call.client.receiver.traffic.refused


async def test_a_connection_that_breaks_is_over_and_says_why(
    server: FakeDiscord, voice: Channel
) -> None:
    async with logged_in(server) as client, listening(client, voice) as call:
        server.voice.close(4006)
        async with asyncio.timeout(5):
            await call.client.over()
        await until(lambda: call.client.close_code == 4006)


async def test_an_end_wakes_whoever_waits_for_it(
    server: FakeDiscord, voice: Channel, ann: Person
) -> None:
    async with logged_in(server) as client:
        ann.joins(voice)
        async with listening(client, voice) as call:
            server.world.kick(server.world.me(voice.guild_id))
            async with asyncio.timeout(5):
                await call.client.over()
            reader = call.client._connection._socket_reader
            await until(lambda: not reader.is_alive(), within_s=2)  # not deaf for 30 s
