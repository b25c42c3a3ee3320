"""The test Discord's faults: does discord.py meet what it meets when Discord is ill?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import discord
import pytest
import pytest_asyncio
from discord import app_commands
from fakecord.bot import known, logged_in, until
from fakecord.entities import Channel, Guild
from fakecord.failures import Way
from fakecord.people import Person
from fakecord.server import FakeDiscord

pytestmark = pytest.mark.asyncio(loop_scope="module")
LONGEST_WAIT_S = 30.0
"""discord.py takes nothing shorter as `max_ratelimit_timeout`."""
ROUTES = [
    ("GET", "/users/@me"),
    ("GET", "/oauth2/applications/@me"),
    ("GET", "/gateway/bot"),
    ("POST", "/users/@me/channels"),
    ("POST", "/guilds/{guild}/channels"),
    ("PATCH", "/guilds/{guild}/members/@me"),
    ("PATCH", "/guilds/{guild}/members/{ann}"),
    ("GET", "/guilds/{guild}/voice-states/@me"),
    ("GET", "/channels/{text}"),
    ("PATCH", "/channels/{text}"),
    ("DELETE", "/channels/{text}"),
    ("PUT", "/channels/{text}/voice-status"),
    ("PUT", "/channels/{text}/permissions/1"),
    ("POST", "/channels/{text}/messages"),
    ("PATCH", "/channels/{text}/messages/1"),
    ("DELETE", "/channels/{text}/messages/1"),
    ("PUT", "/applications/1/commands"),
    ("POST", "/interactions/1/token/callback"),
    ("POST", "/webhooks/1/token"),
    ("PATCH", "/webhooks/1/token/messages/@original"),
    ("DELETE", "/webhooks/1/token/messages/@original"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord(latency_s=0.0) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(server: FakeDiscord) -> AsyncIterator[discord.Client]:
    async with logged_in(server, max_ratelimit_timeout=LONGEST_WAIT_S) as client:
        yield client


@pytest.fixture(autouse=True)
def healthy_again(server: FakeDiscord) -> Any:
    yield
    server.mend()


# each way, at each route


async def test_each_route_fails_in_each_way(
    server: FakeDiscord, guild: Guild, text: Channel, ann: Person
) -> None:
    names = {"guild": guild.id, "text": text.id, "ann": ann.id}
    async with aiohttp.ClientSession(
        "https://discord.com", connector=server.connector()
    ) as session:
        for method, path in ROUTES:
            path = path.format_map(names)
            for status in (403, 404, 429, 500, 503):
                server.fail(method, path, status=status)
                async with session.request(method, f"/api/v10{path}") as answer:
                    assert answer.status == status
            server.fail(method, path, way="reset", times=2)
            with pytest.raises(OSError):
                await session.request(method, f"/api/v10{path}")
    assert guild.channels.keys() == {text.id}


@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (403, discord.Forbidden),
        (404, discord.NotFound),
        (400, discord.HTTPException),
        (503, discord.DiscordServerError),
    ],
)
async def test_a_refusal_becomes_discord_pys_error(
    client: discord.Client,
    server: FakeDiscord,
    guild: Guild,
    status: int,
    raised: type[discord.HTTPException],
) -> None:
    found = await until(lambda: client.get_guild(guild.id))
    server.fail("POST", "/guilds/*/channels", status=status, code=50013)
    with pytest.raises(raised) as caught:
        await found.create_voice_channel("room")
    assert (caught.value.status, caught.value.code) == (status, 50013)
    assert not guild.channels


@pytest.mark.parametrize(
    ("way", "raised", "made"),
    [
        ("hang", TimeoutError, False),
        ("reset", OSError, False),
        ("lost", OSError, True),
        ("mute", TimeoutError, True),
        ("slow", TimeoutError, True),
    ],
)
async def test_a_bot_that_got_no_answer_does_not_know_whether_it_was_done(
    client: discord.Client,
    server: FakeDiscord,
    guild: Guild,
    way: Way,
    raised: type[Exception],
    made: bool,
) -> None:
    found = await until(lambda: client.get_guild(guild.id))
    server.fail("POST", "/guilds/*/channels", way=way, after_s=0.2 * (way == "slow"))
    with pytest.raises(raised):
        async with asyncio.timeout(0.1 if raised is TimeoutError else 5):
            await found.create_voice_channel("room")
    assert [c.name for c in guild.channels.values()] == ["room"] * made
    if made:  # the gateway tells of it all the same
        (kept,) = guild.channels.values()
        await known(client, kept)


async def test_a_slow_answer_is_an_answer(
    client: discord.Client, server: FakeDiscord, guild: Guild
) -> None:
    found = await until(lambda: client.get_guild(guild.id))
    server.fail("POST", "/guilds/*/channels", way="slow", after_s=0.1)
    began = time.monotonic()
    made = await found.create_voice_channel("room")
    assert time.monotonic() - began >= 0.1
    assert made.id in guild.channels


async def test_discord_py_asks_again_after_a_500_and_what_was_done_is_done_twice(
    client: discord.Client, server: FakeDiscord, guild: Guild
) -> None:
    found = await until(lambda: client.get_guild(guild.id))
    path = f"/guilds/{guild.id}/channels"
    server.fail("POST", path, status=500, way="done")
    await found.create_voice_channel("room")  # which takes the library a second
    assert [asked.status for asked in server.asked("POST", path)] == [500, 200]
    assert [c.name for c in guild.channels.values()] == ["room", "room"]


async def test_a_lost_answer_to_a_deletion_is_asked_for_again_by_aiohttp(
    client: discord.Client, server: FakeDiscord, voice: Channel
) -> None:
    found = await known(client, voice)
    server.fail("DELETE", f"/channels/{voice.id}", way="lost")
    with pytest.raises(discord.NotFound) as caught:
        await found.delete()
    assert caught.value.code == 10003


async def test_an_interaction_that_cannot_be_answered_is_told_to_the_bot(
    client: discord.Client, server: FakeDiscord, text: Channel, ann: Person
) -> None:
    tree = app_commands.CommandTree(client)
    caught: asyncio.Future[Exception] = client.loop.create_future()

    @tree.command(name="echo", description="Says it again")
    async def echo(interaction: discord.Interaction) -> None:
        try:
            await interaction.response.send_message("hello")
        except discord.NotFound as error:
            caught.set_result(error)

    server.fail("POST", "/interactions/*/callback", status=404, code=10062)
    with pytest.raises(TimeoutError):
        await ann.types(text, "echo", within_s=0.1)
    assert isinstance(caught.result(), discord.NotFound)


# rate limits


@pytest.mark.parametrize("everywhere", [False, True])
async def test_a_short_429_is_waited_for(
    client: discord.Client, server: FakeDiscord, voice: Channel, everywhere: bool
) -> None:
    found, path = await known(client, voice), f"/channels/{voice.id}"
    server.fail("PATCH", path, status=429, retry_after_s=0.2, everywhere=everywhere)
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        group.create_task(found.edit(name="new"))
        await until(lambda: server.asked("PATCH", path))
        await client.fetch_channel(voice.id)
        assert (time.monotonic() - began > 0.2) == everywhere
    assert [asked.status for asked in server.asked("PATCH", path)] == [429, 200]
    assert time.monotonic() - began > 0.2
    assert voice.name == "new"


async def test_a_long_429_is_raised_at_once(
    client: discord.Client, server: FakeDiscord, voice: Channel
) -> None:
    found, path = await known(client, voice), f"/channels/{voice.id}"
    server.fail("PATCH", path, status=429, retry_after_s=600)
    with pytest.raises(discord.RateLimited) as caught:
        await found.edit(name="new")
    assert caught.value.retry_after == 600


async def test_cloudflare_bans_without_via(
    client: discord.Client, server: FakeDiscord, voice: Channel
) -> None:
    found, path = await known(client, voice), f"/channels/{voice.id}"
    server.fail("PATCH", path, status=429, retry_after_s=0.1, banned=True)
    with pytest.raises(discord.HTTPException) as caught:
        await found.edit(name="new")
    assert caught.value.status == 429
    assert len(server.asked("PATCH", path)) == 1


async def test_each_answer_tells_its_bucket(
    server: FakeDiscord, text: Channel, voice: Channel
) -> None:
    headers = {"Authorization": f"Bot {server.token}"}
    server.limit("GET", "/channels/*", count=5, per_s=60)
    told = []
    async with aiohttp.ClientSession(
        "https://discord.com", connector=server.connector(), headers=headers
    ) as session:
        for channel in (text, text, voice):
            path = f"/api/v10/channels/{channel.id}"
            async with session.get(path) as answer:
                told.append(answer.headers)
    assert len({one["X-RateLimit-Bucket"] for one in told}) == 1
    assert [one["X-RateLimit-Limit"] for one in told] == ["5", "5", "5"]
    assert [one["X-RateLimit-Remaining"] for one in told] == ["4", "3", "4"]
    assert all(59 < float(one["X-RateLimit-Reset-After"]) <= 60 for one in told)


async def test_discord_py_waits_for_a_bucket_that_is_empty(
    client: discord.Client, server: FakeDiscord, text: Channel
) -> None:
    found, path = await known(client, text), f"/channels/{text.id}/messages"
    server.limit("POST", path, count=2, per_s=0.2)
    began = time.monotonic()
    for number in range(3):
        await found.send(str(number))
    assert time.monotonic() - began >= 0.2
    assert [asked.status for asked in server.asked("POST", path)] == [200] * 3


async def test_the_third_new_name_within_ten_minutes_is_refused(
    client: discord.Client, server: FakeDiscord, voice: Channel
) -> None:
    found = await known(client, voice)
    server.limit("PATCH", "/channels/*", count=2, per_s=600, hidden=True)
    await found.edit(name="one")
    await found.edit(name="two")
    with pytest.raises(discord.RateLimited) as caught:
        await found.edit(name="three")
    assert 590 < caught.value.retry_after <= 600
    assert voice.name == "two"
