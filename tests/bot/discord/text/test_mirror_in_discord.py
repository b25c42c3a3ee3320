"""The mirror by discord.py, in the test Discord."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import discord
import pytest
from fakecord.bot import INTENTS, logged_in, until
from fakecord.entities import Channel
from fakecord.mail import Message
from fakecord.people import Person
from fakecord.server import FakeDiscord
from mirroring import Time, a_line, mirrored

from bot.discord.text.mirror import EVERY_S, REQUEST_S


@pytest.fixture
def time() -> Time:
    return Time()


@asynccontextmanager
async def in_discord(
    server: FakeDiscord, text: Channel, time: Time
) -> AsyncIterator[Any]:
    """A mirror of that channel, by a bot that sees what others write in it."""
    async with logged_in(server) as client:
        found: Any = client.get_channel(text.id)
        async with mirrored(found, time) as mirror:
            yield mirror


@pytest.fixture
def sees_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    intents = INTENTS | discord.Intents(guild_messages=True)
    monkeypatch.setattr("fakecord.bot.INTENTS", intents)


def posted(server: FakeDiscord, text: Channel) -> list[Message]:
    mail: list[Message] = server.world.mail.posted(text.id)
    return mail


@pytest.mark.usefixtures("sees_messages")
async def test_lines_stand_in_one_message_until_somebody_writes(
    server: FakeDiscord, text: Channel, ann: Person, time: Time
) -> None:
    async with in_discord(server, text, time) as mirror:
        mirror.put(a_line(1, "<@1> @everyone"))
        await until(lambda: mirror.mark == 1)
        mirror.put(a_line(2))
        await time.passes(EVERY_S)
        await until(lambda: mirror.mark == 2)
        (message,) = posted(server, text)
        assert message.content == "**Ann**: \\<@1> @everyone\n**Ann**: no 2"
        assert message.body["allowed_mentions"] == {"parse": []}
        flags = discord.MessageFlags._from_value(message.body["flags"])
        assert flags.suppress_embeds
        assert flags.suppress_notifications
        written = ann.writes(text, "hello")
        await until(lambda: mirror._channel.last_message_id == written.id)
        mirror.put(a_line(3))
        await time.passes(EVERY_S)
        await until(lambda: mirror.mark == 3)
        assert [m.content for m in posted(server, text)][1:] == [
            "hello",
            "**Ann**: no 3",
        ]


async def test_the_mirror_of_a_deleted_channel_is_silent(
    server: FakeDiscord, text: Channel, time: Time
) -> None:
    async with in_discord(server, text, time) as mirror:
        mirror.put(a_line(1))
        await until(lambda: mirror.mark == 1)
        server.world.delete_channel(text)
        mirror.put(a_line(2))
        await time.passes(EVERY_S)
        await until(lambda: mirror.is_silent)


async def test_a_message_somebody_deleted_is_followed_by_a_new_one(
    server: FakeDiscord, text: Channel, time: Time
) -> None:
    async with in_discord(server, text, time) as mirror:
        mirror.put(a_line(1))
        await until(lambda: mirror.mark == 1)
        server.world.mail.delete(*posted(server, text))
        mirror.put(a_line(2))
        await time.passes(EVERY_S)
        await until(lambda: server.asked("PATCH", "*/messages/*"))
        await until(lambda: mirror._request is None)
        await time.passes(EVERY_S)
        await until(lambda: mirror.mark == 2)
        assert [m.content for m in posted(server, text)] == ["**Ann**: no 2"]


async def test_who_may_not_write_is_silent(
    server: FakeDiscord, text: Channel, time: Time
) -> None:
    server.fail("POST", f"/channels/{text.id}/messages", status=403, code=50013)
    async with in_discord(server, text, time) as mirror:
        mirror.put(a_line(1))
        await until(lambda: mirror.is_silent)
    assert len(server.asked("POST", "*/messages")) == 1


async def test_a_server_that_fails_gets_the_line_once_it_is_back(
    server: FakeDiscord, text: Channel, time: Time
) -> None:
    path = f"/channels/{text.id}/messages"
    server.fail("POST", path, status=503)
    server.fail("POST", path, way="reset")
    async with in_discord(server, text, time) as mirror:
        mirror.put(a_line(1))
        await until(lambda: mirror._failures == 1)
        await time.passes(2)
        await until(lambda: mirror._failures == 2)
        await time.passes(4)
        await until(lambda: mirror.mark == 1)
    assert [m.content for m in posted(server, text)] == ["**Ann**: no 1"]
    asked = server.asked("POST", path)
    assert [one.status for one in asked] == [503, None, 200]
    assert len({one.body["nonce"] for one in asked}) == 1
    assert all(one.body["enforce_nonce"] for one in asked)


async def test_a_server_that_does_not_answer_is_given_up_and_asked_again(
    server: FakeDiscord, text: Channel, time: Time
) -> None:
    path = f"/channels/{text.id}/messages"
    server.fail("POST", path, way="hang")
    async with in_discord(server, text, time) as mirror:
        mirror.put(a_line(1))
        await until(lambda: not server.rest.failures._all[0].times)
        await time.passes(REQUEST_S)
        await until(lambda: mirror._failures == 1)
        await time.passes(2)
        await until(lambda: mirror.mark == 1)
    assert len({one.body["nonce"] for one in server.asked("POST", path)}) == 1


async def test_a_long_limit_of_the_channel_is_waited_out(
    server: FakeDiscord, text: Channel, time: Time
) -> None:
    path = f"/channels/{text.id}/messages"
    server.fail("POST", path, status=429, retry_after_s=90)
    async with logged_in(server) as client:
        client.http.max_ratelimit_timeout = 30.0
        async with mirrored(client.get_channel(text.id), time) as mirror:
            mirror.put(a_line(1))
            await until(lambda: mirror._failures == 1)
            await time.passes(89)
            assert len(server.asked("POST", path)) == 1
            await time.passes(1)
            await until(lambda: mirror.mark == 1)


async def test_the_end_of_the_session_posts_the_rest(
    server: FakeDiscord, text: Channel, time: Time
) -> None:
    async with in_discord(server, text, time) as mirror:
        mirror.put(a_line(1))
        await until(lambda: mirror.mark == 1)
        mirror.put(a_line(2))
    (message,) = posted(server, text)
    assert message.content == "**Ann**: no 1\n**Ann**: no 2"
