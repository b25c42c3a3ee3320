"""Links on the test Discord, 20 ms away: what ends them for good, what keeps them out,
and how they leave."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import discord
import pytest
from fakecord.bot import until
from fakecord.server import FakeDiscord
from linked import Linked, left_over, linked, many_linked

from bot.discord.guild.rights import MissingPermissionsError
from bot.discord.linking.closes import TRIES
from bot.discord.linking.joining import LinkError
from bot.discord.linking.link import Link, Patience

Logs = list[MutableMapping[str, Any]]
Event = Callable[[Linked], object]
AT_ONCE = Patience(backoff_s=lambda attempt: 0.0 if attempt < TRIES else None)
SOON_S = 5.0
"""A loaded machine must do."""
ENTRY = (1 << 10) | (1 << 20)
"""View Channel and Connect, but not Move Members."""


def errors(logs: Logs, call: Linked) -> list[str]:
    """What the operator has been told of this call's guild."""
    return [
        line["event"]
        for line in logs
        if line["log_level"] == "error" and line.get("guild") == call.guild.id
    ]


def closes(code: int) -> Event:
    return lambda call: call.server.voice.close(code, guild_id=call.guild.id)


# how it ends


@pytest.mark.usefixtures("_soon_without_news")
async def test_who_was_sent_away_says_so_once_and_does_not_come_back(
    server: FakeDiscord, client: discord.Client
) -> None:
    world = server.world
    ends: dict[str, tuple[Event, str]] = {
        "kick": (lambda call: world.kick(call.me), "kicked"),
        "channel": (lambda call: world.delete_channel(call.channel), "channel_deleted"),
        "guild": (lambda call: world.remove_guild(call.guild), "guild_removed"),
        "4021": (closes(4021), "kicked"),
        "4022": (closes(4022), "kicked"),
        "4014 and not a word": (closes(4014), "kicked"),
    }
    async with many_linked(server, client, len(ends)) as calls:
        began_s = time.monotonic()
        for call, (end, _) in zip(calls, ends.values(), strict=True):
            end(call)
        told = [await call.ended() for call in calls]
        assert time.monotonic() - began_s < SOON_S
        assert told == [[reason] for _, reason in ends.values()]
        assert [len(call.lines) for call in calls] == [1] * len(ends)
        await until(lambda: not left_over(client))
        for call in calls:
            if call.guild.id in world.guilds:
                assert call.me.voice is None


async def test_what_can_never_work_is_one_line_to_the_operator(
    server: FakeDiscord, client: discord.Client, logs: Logs
) -> None:
    codes = [4004, 4011, 4012, 4016, 4017]
    async with many_linked(server, client, len(codes)) as calls:
        for call, code in zip(calls, codes, strict=True):
            closes(code)(call)
        assert [await call.ended() for call in calls] == [["disconnected"]] * 5
        assert [errors(logs, call) for call in calls] == [["discord.voice"]] * 5
        told = [line["code"] for line in logs if line["event"] == "discord.voice"]
        assert sorted(told) == codes
        assert [len(call.lines) for call in calls] == [1] * len(codes)


async def test_a_refusal_for_good_is_not_tried_again(
    server: FakeDiscord, client: discord.Client, logs: Logs
) -> None:
    async with linked(server, client) as call:
        identified = len(server.voice.identified)
        server.voice.refuses_with = 4017
        server.voice.close(4006)
        assert await call.ended() == ["disconnected"]
        assert len(server.voice.identified) == identified + 1
        assert errors(logs, call) == ["discord.voice"]


async def test_it_gives_up_after_so_many_tries(
    server: FakeDiscord, client: discord.Client, logs: Logs
) -> None:
    attempts: list[int] = []

    def backoff_s(attempt: int) -> float | None:
        attempts.append(attempt)
        return AT_ONCE.backoff_s(attempt)

    async with linked(server, client, patience=Patience(backoff_s=backoff_s)) as call:
        identified = len(server.voice.identified)
        server.voice.refuses_with = 4006
        server.voice.close(4006)
        assert await call.ended() == ["disconnected"]
        assert attempts == list(range(TRIES + 1))
        assert len(server.voice.identified) == identified + TRIES
        assert errors(logs, call) == ["discord.link_lost"]


async def test_it_goes_on_where_one_of_its_tries_succeeds(
    server: FakeDiscord, client: discord.Client
) -> None:
    async with linked(server, client, patience=AT_ONCE) as call:
        identified = len(server.voice.identified)
        server.voice.refuses_with = 4006
        server.voice.close(4006)
        await until(lambda: len(server.voice.identified) > identified + 2)
        server.voice.refuses_with = None
        await call.hears()
        assert not call.reasons


async def test_a_fault_of_our_own_ends_the_call_too(
    server: FakeDiscord, client: discord.Client, logs: Logs
) -> None:
    connections: list[object] = []

    def connected(one: object) -> None:
        connections.append(one)
        assert len(connections) == 1, "a fault"

    async with linked(server, client, connected=connected) as call:
        server.voice.close(4006)
        assert await call.ended() == ["disconnected"]
    assert errors(logs, call) == ["discord.link_failed"]


# not getting in


async def test_a_full_channel_is_told_from_one_that_is_closed_to_us(
    server: FakeDiscord, client: discord.Client
) -> None:
    impatient = {"patience": Patience(join_s=0.5)}
    full, closed = (Linked(server, client, **impatient) for _ in range(2))
    full.channel = server.world.add_voice(full.guild, "Full", limit=1)
    full.ann.joins(full.channel)
    server.world.allow(full.guild, ENTRY)
    server.world.overwrite(closed.channel, closed.me, deny=ENTRY)
    with pytest.raises(LinkError) as caught:
        await (await full.made()).open()
    assert caught.value.code == "channel_full"
    with pytest.raises(MissingPermissionsError):
        await (await closed.made()).open()


async def test_discords_silence_is_waited_for_no_longer_than_said(
    server: FakeDiscord, client: discord.Client
) -> None:
    call = Linked(server, client, patience=Patience(join_s=0.3))
    link = await call.made()
    call.ann.joins(call.channel)
    server.world.allow(call.guild, ENTRY)
    call.channel.options["user_limit"] = 1  # and nobody has told us
    began_s = time.monotonic()
    with pytest.raises(LinkError) as caught:
        await link.open()
    assert caught.value.code == "connect_failed"
    assert 0.3 <= time.monotonic() - began_s < 3
    await until(lambda: not left_over(client))


async def test_a_refusal_at_the_first_try_is_told(
    server: FakeDiscord, client: discord.Client, logs: Logs
) -> None:
    call = Linked(server, client)
    server.voice.refuses_with = 4017
    with pytest.raises(LinkError) as caught:
        await (await call.made()).open()
    assert caught.value.code == "connect_failed"
    assert errors(logs, call) == ["discord.voice"]
    await until(lambda: call.me.voice is None)


# leaving


async def test_it_can_be_closed_at_any_moment_while_it_connects(
    server: FakeDiscord, client: discord.Client
) -> None:
    """Every 10 ms of the way in, and a while behind it."""
    calls = [Linked(server, client) for _ in range(16)]
    links = [await call.made() for call in calls]

    async def open_and_close(link: Link, after_s: float) -> float:
        opening = asyncio.create_task(link.open())
        await asyncio.sleep(after_s)
        began_s = time.monotonic()
        await link.close()
        took_s = time.monotonic() - began_s
        await asyncio.wait([opening])
        error = opening.exception()
        assert error is None or (isinstance(error, LinkError) and error.code == "ended")
        return took_s

    took_s = await asyncio.gather(
        *(open_and_close(link, number / 100) for number, link in enumerate(links))
    )
    assert max(took_s) < 5
    await until(lambda: not left_over(client))
    await until(lambda: not any(call.me.voice for call in calls))
    assert not any(call.reasons for call in calls)


async def _backing_off(call: Linked) -> None:
    call.server.voice.refuses_with = 4006
    closes(4006)(call)
    await until(lambda: len(call.server.voice.identified) > 1)


async def _ended(call: Linked) -> None:
    call.server.world.kick(call.me)
    await call.ended()


async def _closed(call: Linked) -> None:
    await asyncio.gather(call.link.close(), call.link.close())


@pytest.mark.parametrize("state", [_backing_off, _ended, _closed])
async def test_it_can_be_closed_in_any_state(
    server: FakeDiscord,
    client: discord.Client,
    state: Callable[[Linked], Awaitable[None]],
) -> None:
    async with linked(server, client) as call:
        await state(call)
        told = list(call.reasons)
        began_s = time.monotonic()
        await call.link.close()
        assert time.monotonic() - began_s < 5
        await until(lambda: not left_over(client))
        await until(lambda: call.me.voice is None)
        assert call.reasons == told


async def test_who_opens_it_may_lose_patience(
    server: FakeDiscord, client: discord.Client
) -> None:
    call = Linked(server, client)
    opening = asyncio.create_task((await call.made()).open())
    await until(server.voice.live)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await until(lambda: not left_over(client))
    await until(lambda: call.me.voice is None)


async def test_what_it_could_not_say_is_said_when_the_gateway_is_back(
    server: FakeDiscord, client: discord.Client
) -> None:
    async with linked(server, client) as call:
        server.gateway.cut()
        began_s = time.monotonic()
        await call.link.close()
        assert time.monotonic() - began_s < 5
        await until(lambda: call.me.voice is None, within_s=10)
