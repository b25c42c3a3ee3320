"""A bot that is to stop: its calls finish, and who asks meanwhile is served by the
next."""

from __future__ import annotations

import asyncio

import discord_ends as ends
import discord_scenes as stage
import pytest
from discord_bot import in_db, in_state, running
from discord_scenes import CASES, Case
from fakecord.bot import until
from fakecord.server import FakeDiscord

from bot.discord.notices import Notice, text
from bot.draining import Draining
from sessions.models import State, VoiceRequest

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("done_at_once"),
]

IN_A_CHANNEL = Case(is_room=False, record=True)


async def test_a_call_that_runs_finishes_and_who_asks_meanwhile_waits(
    server: FakeDiscord,
) -> None:
    running_call = stage.a_scene(server, IN_A_CHANNEL)
    late = stage.a_scene(server, IN_A_CHANNEL)
    draining = Draining(within_s=60)
    async with running(server) as bot:
        await stage.runs(running_call, bot)
        draining.ask()
        drained = asyncio.create_task(draining.run([bot.operator]))
        late.ann.joins(late.voice)
        asked = await late.ann.types(late.text, "record start")
        place = text(Notice.ROOM_WAITING, "en", place=1)
        await until(lambda: asked.answer and asked.answer.content == place)
        assert not draining.is_over.is_set()
        assert running_call.has_begun
        await running_call.ann.sends(stage.WORD, fast=True)
        await ends.end(running_call, ends.leave_command)
        async with asyncio.timeout(10):
            await drained
        assert not bot.operator.active
    await ends.nothing_is_left([running_call])
    request = await in_db(VoiceRequest.objects.get)(guild_id=str(late.guild.id))
    assert (request.state, request.session_id) == ("waiting", None)
    async with running(server):
        session = await in_state(State.ACTIVE)
        assert session.guild_id == str(late.guild.id)


async def test_a_call_that_goes_on_when_the_time_is_up_is_ended_in_order(
    server: FakeDiscord,
) -> None:
    is_up = asyncio.Event()

    async def sleep(seconds: float) -> None:
        assert seconds == 1800
        await is_up.wait()

    scenes = [stage.a_scene(server, case) for case in CASES]
    for scene in scenes:
        scene.reasons = {"shut_down"}
    draining = Draining(within_s=1800, sleep=sleep)
    async with running(server) as bot:
        await stage.run_all(scenes, bot)
        draining.ask()
        drained = asyncio.create_task(draining.run([bot.operator]))
        await until(lambda: bot.operator._serving._is_closing)
        assert bot.operator.active == len(scenes)
        assert all(scene.has_begun for scene in scenes)
        is_up.set()
        await drained
    await ends.nothing_is_left(scenes)
