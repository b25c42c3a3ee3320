"""Each way to end a Discord call leaves nothing behind, in rooms and in channels, kept
and not kept: the four at once, in four guilds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import discord_ends as ends
import discord_scenes as stage
import pytest
from discord_bot import running
from discord_ends import Way
from discord_scenes import CASES, ROOMS, Case, Scene
from fakecord.server import FakeDiscord
from pytest_django.fixtures import Settings

from sessions import finish, lifecycle
from sessions.models import State

pytestmark = pytest.mark.django_db(transaction=True)

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


@pytest.fixture(autouse=True)
def _alone(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.LOGS_DIR = tmp_path / "logs"
    settings.SPOOL_DIR = tmp_path / "spool"
    settings.TTS = "none"
    # The worker's part, done at once.
    monkeypatch.setattr(finish, "ring", lambda pk: lifecycle.advance(pk, State.READY))


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


async def test_a_call_that_cannot_begin_ends_as_crashed(
    server: FakeDiscord, settings: Settings
) -> None:
    settings.VOICE_INACTIVITY_S = "soon"  # which nobody can count down from
    scenes = scenes_of(server, reason="crashed")
    async with running(server) as bot:
        await asyncio.gather(*(stage.comes(scene, bot) for scene in scenes))
        await ends.nothing_is_left(scenes)
