"""Each way to end a Discord call leaves nothing behind, in rooms and in channels, kept
and not kept: the four at once, in four guilds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import discord_ends as ends
import discord_scenes as stage
import pytest
from discord_bot import in_db, running
from discord_ends import Way
from discord_scenes import CASES, ROOMS, Case, Scene
from fakecord.server import FakeDiscord
from pytest_django.fixtures import Settings
from scene import eventually

from bot.discord import conversation
from bot.discord.guild.presence import MARK
from bot.discord.notices import Notice, text
from sessions import finish
from sessions.models import State, VoiceRequest

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("done_at_once"),
]

ANY_TIME = (
    ends.leave_command,
    ends.stop_command,
    ends.stop_button,
    ends.ended_elsewhere,
    ends.stop_requested,
    ends.everybody_leaves,
    ends.kicked,
    ends.channel_deleted,
    ends.crash,
    ends.thrown_out,
)


def scenes_of(
    server: FakeDiscord, cases: Sequence[Case] = CASES, *, reason: str = ""
) -> list[Scene]:
    scenes = [stage.a_scene(server, case) for case in cases]
    for scene in scenes:
        scene.reasons = {reason} - {""}
    return scenes


@pytest.mark.parametrize("way", ANY_TIME, ids=lambda way: way.__name__)
async def test_nothing_is_left_of_a_call(server: FakeDiscord, way: Way) -> None:
    scenes = scenes_of(server)
    async with running(server) as bot:
        await stage.run_all(scenes, bot)
        await ends.end_all(scenes, way)
        await ends.nothing_is_left(scenes)


async def test_nothing_is_left_of_a_call_in_which_nobody_speaks(
    server: FakeDiscord, settings: Settings
) -> None:
    settings.VOICE_INACTIVITY_S = 1.5
    scenes = scenes_of(server, reason="inactivity")
    async with running(server) as bot:
        await asyncio.gather(*(stage.runs(one, bot, speaks=False) for one in scenes))
        await ends.nothing_is_left(scenes)


async def test_nothing_is_left_of_a_room_that_nobody_came_to(
    server: FakeDiscord, settings: Settings
) -> None:
    settings.VOICE_TIMEOUT = 0.3
    scenes = scenes_of(server, ROOMS, reason="join_timeout")
    async with running(server) as bot:
        await asyncio.gather(*(stage.asks(scene, bot) for scene in scenes))
        await ends.nothing_is_left(scenes)
    for scene in scenes:
        told = [one.content for one in server.world.mail.posted(scene.text.id)]
        assert any(text(Notice.ROOM_EXPIRED, "en") in one for one in told)


@pytest.mark.parametrize(
    "way",
    [ends.leave_command, ends.kicked, ends.channel_deleted, ends.thrown_out],
    ids=lambda way: way.__name__,
)
async def test_nothing_is_left_of_a_room_that_ends_before_its_user_came(
    server: FakeDiscord, way: Way
) -> None:
    scenes = scenes_of(server, ROOMS)
    async with running(server) as bot:
        await asyncio.gather(*(stage.waits(scene, bot) for scene in scenes))
        await ends.end_all(scenes, way)
        await ends.nothing_is_left(scenes)


async def test_nothing_is_left_when_the_process_is_asked_to_end(
    server: FakeDiscord,
) -> None:
    scenes = scenes_of(server, reason="shut_down")
    async with running(server) as bot:
        await stage.run_all(scenes, bot)
    await ends.nothing_is_left(scenes)


async def test_a_channel_that_is_deleted_is_the_reason_though_all_have_left_first(
    server: FakeDiscord,
) -> None:
    scene = stage.a_scene(server, CASES[-1])
    async with running(server) as bot:
        await stage.runs(scene, bot)
        server.fail("PUT", "*/voice-status", way="slow", after_s=0.5)
        scene.ann.leaves()
        await eventually(lambda: scene.call.is_ending)
        await ends.end(scene, ends.channel_deleted)
        await ends.nothing_is_left([scene])


async def test_a_call_without_an_inactivity_timer_has_no_timer(
    server: FakeDiscord, settings: Settings
) -> None:
    settings.VOICE_INACTIVITY_S = 0
    scene = stage.a_scene(server, ROOMS[0])
    async with running(server) as bot:
        await stage.runs(scene, bot, speaks=False)
        assert scene.call._countdown is None


async def test_one_end_is_ones_who_asked_first(server: FakeDiscord) -> None:
    (scene,) = scenes = scenes_of(server, CASES[:1], reason="stopped")
    async with running(server) as bot:
        await stage.runs(scene, bot)
        call = scene.call
        asked = [bot.operator.end(call, "stopped") for _ in range(5)]
        assert await asyncio.gather(*asked) == [True, False, False, False, False]
        assert not await bot.operator.end(call, "kicked")
        await ends.nothing_is_left(scenes)


async def test_who_asks_while_a_call_is_being_closed_is_served_behind_it(
    server: FakeDiscord,
) -> None:
    scene = stage.a_scene(server, CASES[-1])
    mine = f"/guilds/{scene.guild.id}/members/@me"
    async with running(server) as bot:
        await stage.runs(scene, bot, speaks=False)
        first = scene.call
        server.fail("PATCH", mine, way="slow", after_s=1.0)
        # By another process: the slot is free before all is undone here.
        await ends.ended_elsewhere(scene)
        await eventually(lambda: first.is_undoing)
        await stage.asks(scene, bot)
        await eventually(lambda: scene.has_call and scene.call is not first)
        assert first._closing
        assert first._closing.done()
        await eventually(lambda: scene.has_begun)
        assert (server.world.me(scene.guild.id).nick or "").startswith(MARK)
        await bot.operator.end(scene.call, "stopped")
        assert server.world.me(scene.guild.id).nick == stage.NICK


async def test_a_process_that_ends_waits_for_no_last_lines(
    server: FakeDiscord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finish, "ring", lambda _: None)  # no worker is there
    scenes = scenes_of(server)
    async with running(server) as bot:
        await stage.run_all(scenes, bot)
        async with asyncio.timeout(conversation.LAST_LINES_S / 3):
            await bot.shut_down()
    for scene in scenes:
        session = await scene.row()
        assert session.state == State.FINISHING
        (told,) = await in_db(ends.figures_of)(session)
        assert (told["reason"], told["source"]) == ("shut_down", "discord")
        assert told["packets"] > 0  # noted before the process ended


async def test_whoever_got_nothing_when_the_process_ended_waits_again(
    server: FakeDiscord,
) -> None:
    scene = stage.a_scene(server, CASES[0])
    server.fail("POST", f"/guilds/{scene.guild.id}/channels", way="slow", after_s=0.5)
    async with running(server) as bot:
        await stage.asks(scene, bot)
        await eventually(lambda: scene.has_call)
    request = await in_db(VoiceRequest.objects.get)()
    assert (request.state, request.session_id) == ("waiting", None)
    assert not [one for one in scene.guild.channels.values() if "Ann" in one.name]
    async with running(server):
        await eventually(lambda: scene.server.world.me(scene.guild.id).voice)


async def test_a_call_that_cannot_begin_ends_as_crashed(
    server: FakeDiscord, settings: Settings
) -> None:
    settings.VOICE_INACTIVITY_S = "soon"  # which nobody can count down from
    scenes = scenes_of(server, reason="crashed")
    async with running(server) as bot:
        await asyncio.gather(*(stage.comes(scene, bot) for scene in scenes))
        await ends.nothing_is_left(scenes)
