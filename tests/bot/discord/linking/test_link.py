"""Links on the test Discord, 20 ms away, with somebody talking all the time: what
breaks them, and how soon they hear again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, MutableMapping
from functools import partial
from typing import Any

import discord
import pytest
from fakecord.bot import Eager, EagerShards, logged_in, secured, until
from fakecord.server import FakeDiscord
from fakecord.voice import Road
from linked import SOUND, Linked, linked, many_linked

from bot.discord.linking import voicestate
from bot.discord.linking.voicestate import ADVISE_AFTER, RECOVERIES_MAX

Logs = list[MutableMapping[str, Any]]
Event = Callable[[Linked], object]
SOON_S = 5.0
"""A loaded machine must do; unloaded, it is a fifth of a second: see the benchmark.
discord.py alone is deaf for ten seconds, or thirty."""


def closes(code: int) -> Event:
    return lambda call: call.server.voice.close(code, guild_id=call.guild.id)


# what breaks


async def test_whatever_breaks_the_line_it_hears_again_soon(
    server: FakeDiscord, client: discord.Client
) -> None:
    def loses_its_server(call: Linked) -> None:
        call.loses_line()
        server.change_voice_server(call.guild)

    events: dict[str, Event] = {
        **{str(code): closes(code) for code in (4006, 4009, 1000, 1001, 4999)},
        "reset": lambda call: server.voice.cut(guild_id=call.guild.id),
        "restart": lambda call: server.restart_voice(call.guild),
        "another server, the old one dead": loses_its_server,
    }
    async with many_linked(server, client, len(events)) as calls:
        pairs = zip(calls, events.values(), strict=True)
        gaps = await asyncio.gather(
            *(call.gap_s(partial(event, call)) for call, event in pairs)
        )
        late = [
            what for what, gap_s in zip(events, gaps, strict=True) if gap_s > SOON_S
        ]
        assert not late
        assert not any(call.reasons for call in calls)
        outages = calls[0].link.outages
        assert outages.reconnects == 1
        assert 0 < outages.longest_s <= gaps[0]


async def test_a_crash_of_the_voice_server_is_resumed_without_a_gap(
    server: FakeDiscord, client: discord.Client
) -> None:
    async with linked(server, client) as call:
        (connection,) = call.lines
        before = connection.line
        gap_s = await call.gap_s(
            partial(server.voice.close, 4015),
            mended=lambda: connection.line is not before,
        )
        assert gap_s <= SOON_S
        assert call.link.outages.reconnects == 0
        assert len(call.lines) == 1


async def test_a_crash_that_cannot_be_resumed_is_another_break(
    server: FakeDiscord, client: discord.Client
) -> None:
    async with linked(server, client) as call:
        restart = partial(server.restart_voice, call.guild, code=4015)
        assert await call.gap_s(restart) <= SOON_S
        assert not call.reasons


async def test_a_line_that_is_open_and_dead_is_left(
    server: FakeDiscord, client: discord.Client
) -> None:
    server.voice.heartbeat_s = 0.2
    async with linked(server, client) as call:
        await until(lambda: server.voice.heartbeats > 1)
        gap_s = await call.gap_s(call.loses_line)
        assert gap_s <= SOON_S  # the sound went on till it was left
        assert call.link.outages.reconnects  # twice, where beats are late by themselves


async def test_datagrams_that_are_lost_while_it_connects_are_sent_again(
    server: FakeDiscord, client: discord.Client
) -> None:
    link = await Linked(server, client).made()
    server.udp.silent = True
    opening = asyncio.create_task(link.open())
    await until(server.voice.live)
    server.udp.silent = False
    await asyncio.wait_for(opening, 5)
    await link.close()


async def test_a_road_that_is_dead_is_noticed_and_left(
    server: FakeDiscord, client: discord.Client, logs: Logs
) -> None:
    """The lines to both gateways are well, somebody is in the middle of a word, and
    nothing comes."""
    later_s = 0.0
    async with linked(server, client, clock=lambda: time.monotonic() + later_s) as call:
        server.udp.silent = True
        later_s = 11.0
        call.link.look()
        await until(lambda: any(line["event"] == "discord.deaf" for line in logs))
        assert len(call.lines) == 1
        later_s = 21.0
        call.link.look()
        await until(lambda: len(call.lines) == 2)
        server.udp.silent = False
        await call.hears()
        assert call.link.outages.reconnects == 1


async def test_keys_that_stay_broken_are_asked_for_five_times_and_no_more(
    server: FakeDiscord, client: discord.Client, logs: Logs
) -> None:
    call = Linked(server, client)
    call.ann.joins(call.channel)
    link = await call.made()
    await link.open()
    asked = server.voice.room(call.channel.id).delivery.invalid

    def stay() -> list[MutableMapping[str, Any]]:
        return [line for line in logs if line["event"] == "discord.keys_stay_broken"]

    async def speaks_with_broken_keys() -> None:
        assert link.client
        await secured(server, link.client, call.ann)
        before = len(asked), len(stay())
        await call.ann.sends(SOUND, road=Road(broken=True), tail=(), fast=True)
        await until(lambda: (len(asked), len(stay())) > before)

    for _ in range(RECOVERIES_MAX + 1):
        await speaks_with_broken_keys()
    assert asked == [server.world.bot.id] * RECOVERIES_MAX
    told = stay()
    assert [line["recoveries"] for line in told] == [ADVISE_AFTER, RECOVERIES_MAX]
    assert "region" in told[0]["advice"]
    await link.close()


# where we are


@pytest.mark.parametrize("latency_s", [0.0, 0.02])
async def test_it_goes_where_a_moderator_takes_it(latency_s: float) -> None:
    async with (
        FakeDiscord(latency_s=latency_s) as server,
        logged_in(server, EagerShards) as client,
        linked(server, client) as call,
    ):
        assert await call.gap_s(call.moves) <= SOON_S
        assert call.link.channel_id == call.other.id
        assert call.link.channel.id == call.other.id
        assert call.link.outages.reconnects == 0
        await call.gap_s(partial(server.voice.close, 4006))
        assert call.me.voice is not None
        assert call.me.voice.channel_id == call.other.id  # and not where it began
        assert not call.reasons


@pytest.mark.usefixtures("_soon_without_news")
async def test_it_waits_for_a_server_that_is_promised(
    server: FakeDiscord, client: discord.Client
) -> None:
    """Discord has none at the moment, and says so."""
    async with linked(server, client) as call:
        promised = {"token": "", "guild_id": str(call.guild.id), "endpoint": None}
        server.gateway.dispatch("VOICE_SERVER_UPDATE", promised)
        await call.hears()
        (connection,) = call.lines
        connection.line.close(4014)
        began_s = time.monotonic()
        await until(lambda: time.monotonic() - began_s > 2 * voicestate.NEWS_WITHIN_S)
        server.change_voice_server(call.guild)
        await until(lambda: len(call.lines) == 2)
        await call.hears()
        assert call.link.outages.reconnects == 0


async def test_it_follows_to_another_voice_server(
    server: FakeDiscord, client: discord.Client
) -> None:
    async with linked(server, client) as call:
        gap_s = await call.gap_s(partial(server.change_voice_server, call.guild))
        assert gap_s <= SOON_S
        assert call.link.outages.reconnects == 0


@pytest.mark.parametrize("how", ["moved", "to another server"])
async def test_it_gets_in_though_it_is_sent_about_while_it_connects(
    server: FakeDiscord, client: discord.Client, how: str
) -> None:
    call = Linked(server, client)
    link = await call.made()
    opening = asyncio.create_task(link.open())
    await until(server.voice.live)
    if how == "moved":
        server.world.move(call.me, call.other)
    else:
        server.change_voice_server(call.guild)
    await asyncio.wait_for(opening, 5)
    wanted = call.other if how == "moved" else call.channel
    assert link.channel_id == wanted.id
    assert call.me.voice is not None
    assert call.me.voice.channel_id == wanted.id
    call.ann.joins(wanted)
    await call.ann.secured(with_whom=server.world.bot.id)
    await link.close()


# the main gateway


async def test_a_resumed_gateway_changes_nothing(
    server: FakeDiscord, client: discord.Client
) -> None:
    async with linked(server, client) as call:
        gap_s = await call.gap_s(
            server.gateway.ask_to_reconnect, mended=lambda: server.gateway.resumed
        )
        call.link.look()
        await call.hears()
        assert gap_s <= SOON_S
        assert len(call.lines) == 1


@pytest.mark.parametrize("kind", [Eager, EagerShards])
async def test_a_new_session_of_the_gateway_is_lived_through(
    server: FakeDiscord, kind: type[discord.Client]
) -> None:
    """And with a voice of that session: Discord ends the older one's. A single client
    forgets its voice clients then, a sharded one does not."""
    async with logged_in(server, kind) as client, linked(server, client) as call:

        async def on_ready() -> None:
            call.link.look()

        client.event(on_ready)
        gap_s = await call.gap_s(server.gateway.invalidate, within_s=12)
        assert gap_s <= SOON_S
        assert not call.reasons
        await until(lambda: call.link.channel)
        assert client.voice_clients == [call.link.client]


@pytest.mark.usefixtures("_soon_without_news")
async def test_a_login_that_was_given_up_is_no_kick(
    server: FakeDiscord, client: discord.Client
) -> None:
    """Discord says 4014 then, too: the voice of a login ends with it."""
    async with linked(server, client) as call:
        server.gateway.cut()
        server.gateway.forget()
        assert call.me.voice is None
        await until(lambda: len(call.lines) == 2, within_s=15)
        await call.hears()
        assert not call.reasons


async def test_it_waits_for_a_guild_that_has_an_outage(
    server: FakeDiscord, client: discord.Client
) -> None:
    async with linked(server, client) as call:
        server.world.take_down(call.guild)
        await until(lambda: call.link.channel.guild.unavailable)
        server.voice.close(4006)
        await until(lambda: call.link.client and call.link.client.is_over)
        server.world.bring_back(call.guild)
        await call.hears()
        assert not call.reasons
