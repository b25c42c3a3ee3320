"""What happens to the keys of a call, and that every word is heard all the same: by our
client, through real MLS groups."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from discord_hearing import Call, listening, tone
from fakecord.bot import logged_in, secured, until
from fakecord.entities import Channel, Guild
from fakecord.people import Person
from fakecord.rtp import SILENCE
from fakecord.server import FakeDiscord
from fakecord.voice import Road

from bot.discord.dave import FAILURES_MAX


@pytest.fixture
def ben(server: FakeDiscord, guild: Guild) -> Person:
    return server.person(guild, "Ben")


async def heard(call: Call, *people: Person) -> None:
    """Each of them speaks, and is heard to the last packet."""
    before = [len(call.said(person)) for person in people]
    await asyncio.gather(
        *(person.sends(tone(n), fast=True) for n, person in enumerate(people))
    )
    for number, person in enumerate(people):
        await until(
            lambda p=person, n=number: len(call.said(p)) == before[n] + 10  # type: ignore[misc]
        )
        assert call.said(person)[-10:] == tone(number)


async def test_the_bot_founds_the_group(
    server: FakeDiscord, voice: Channel, ann: Person
) -> None:
    ann.commits = False
    async with logged_in(server) as client, listening(client, voice) as call:
        ann.joins(voice)
        await secured(server, call.client, ann)
        await heard(call, ann)


async def test_a_members_commit_wins(
    server: FakeDiscord, voice: Channel, ann: Person, ben: Person
) -> None:
    ann.latency_s = 0.0
    ann.joins(voice)
    async with logged_in(server) as client, listening(client, voice) as call:
        await secured(server, call.client, ann)
        ben.joins(voice)
        await secured(server, call.client, ann, ben)
        await heard(call, ann, ben)


async def test_the_bot_commits_a_third(
    server: FakeDiscord, voice: Channel, ann: Person, ben: Person
) -> None:
    ann.commits = ben.commits = False
    async with logged_in(server) as client, listening(client, voice) as call:
        ann.joins(voice)
        await secured(server, call.client, ann)
        ben.joins(voice)
        await secured(server, call.client, ann, ben)
        await heard(call, ann, ben)


async def test_one_leaves_and_the_others_go_on(
    server: FakeDiscord, guild: Guild, voice: Channel, ann: Person, ben: Person
) -> None:
    cid = server.person(guild, "Cid")
    for person in (ann, ben, cid):
        person.joins(voice)
    async with logged_in(server) as client, listening(client, voice) as call:
        await secured(server, call.client, ann, ben, cid)
        await heard(call, ann, ben, cid)
        ben.leaves()
        await secured(server, call.client, ann, cid)
        await heard(call, ann, cid)


async def test_packets_of_the_epoch_before_are_heard(
    server: FakeDiscord, voice: Channel, ann: Person, ben: Person
) -> None:
    ann.joins(voice)
    async with logged_in(server) as client, listening(client, voice) as call:
        await secured(server, call.client, ann)
        await heard(call, ann)
        mouth = ann.voice
        assert mouth
        road = Road()
        sealed = [mouth._sealed(mouth._packet(one, road), road) for one in tone(4)]
        ben.joins(voice)
        await secured(server, call.client, ann, ben)
        for packet in sealed:
            mouth.room.say(mouth, packet)
        await until(lambda: call.said(ann)[10:] == tone(4))


async def test_who_was_never_announced_is_known_by_their_key(
    server: FakeDiscord, voice: Channel, ann: Person, ben: Person
) -> None:
    for person in (ann, ben):
        person.joins(voice)
    async with logged_in(server) as client, listening(client, voice) as call:
        await secured(server, call.client, ann, ben)
        for number, person in enumerate((ben, ann)):
            await person.sends(tone(number), announce=None, fast=True)
            await until(lambda p=person: len(call.said(p)) == 10)  # type: ignore[misc]
        assert (call.said(ben), call.said(ann)) == (tone(0), tone(1))


async def test_padding_is_left_on_by_nobody(
    server: FakeDiscord, voice: Channel, ann: Person
) -> None:
    ann.joins(voice)
    async with logged_in(server) as client, listening(client, voice) as call:
        await secured(server, call.client, ann)
        await ann.sends(tone(1), road=Road(padding=7, extended=True), fast=True)
        await until(lambda: call.said(ann) == tone(1))
        assert call.client.receiver.unsealing.counts.failed == 0


async def test_what_the_bot_says_is_heard_by_all(
    server: FakeDiscord, voice: Channel, ann: Person, ben: Person
) -> None:
    for person in (ann, ben):
        person.joins(voice)
    async with logged_in(server) as client, listening(client, voice) as call:
        await secured(server, call.client, ann, ben)
        for packet in tone(3):
            call.client.send_audio_packet(packet, encode=False)
        for person in (ann, ben):
            await until(lambda p=person: len(p.heard) == 10)  # type: ignore[misc]
            assert [one.opus for one in person.heard] == tone(3)


async def test_many_broken_frames_ask_once_for_new_keys(
    server: FakeDiscord, voice: Channel, ann: Person
) -> None:
    ann.joins(voice)
    async with logged_in(server) as client, listening(client, voice) as call:
        await secured(server, call.client, ann)
        delivery = server.voice.room(voice.id).delivery
        broken = [packet for n in range(5) for packet in tone(n)][: FAILURES_MAX + 9]
        await ann.sends(broken, road=Road(broken=True), fast=True)
        await until(lambda: len(delivery.invalid) == 1)
        await secured(server, call.client, ann)
        await heard(call, ann)
        assert delivery.invalid == [server.world.bot.id]


async def test_all_leave_and_one_returns(
    server: FakeDiscord, voice: Channel, ann: Person, ben: Person
) -> None:
    for person in (ann, ben):
        person.joins(voice)
    async with logged_in(server) as client, listening(client, voice) as call:
        await secured(server, call.client, ann, ben)
        for person in (ann, ben):
            person.leaves()
        await until(lambda: not server.voice.room(voice.id).delivery.group)
        ben.joins(voice)
        await secured(server, call.client, ben)
        await heard(call, ben)


async def test_the_bot_is_welcomed_into_a_group_that_talks(
    server: FakeDiscord, voice: Channel, ann: Person, ben: Person
) -> None:
    for person in (ann, ben):
        person.joins(voice)
    await ann.secured(with_whom=ben.id)
    async with logged_in(server) as client, listening(client, voice) as call:
        await secured(server, call.client, ann, ben)
        await heard(call, ann, ben)


async def test_ten_who_speak_at_once_are_told_apart(
    server: FakeDiscord, guild: Guild, voice: Channel
) -> None:
    people = [server.person(guild, f"P{number}") for number in range(10)]
    for person in people:
        person.joins(voice)
    async with logged_in(server) as client, listening(client, voice) as call:
        await secured(server, call.client, *people)
        await asyncio.gather(
            *(person.sends(tone(n)) for n, person in enumerate(people))
        )
        for number, person in enumerate(people):
            await until(lambda p=person: len(call.said(p)) == 10)  # type: ignore[misc]
            assert call.said(person) == tone(number)
        counts: Any = call.client.receiver.unsealing.counts
        assert (counts.failed, call.client.receiver.traffic.transport_failed) == (0, 0)
        assert SILENCE not in [packet for one in people for packet in call.said(one)]
