"""A bot that was killed, and the next one: by the database and by Discord alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import discord_ends as ends
import discord_scenes as stage
import pytest
from discord_bot import running
from discord_scenes import CASES, NICK, Case, Scene
from fakecord.server import FakeDiscord
from mortal import Mortal
from pytest_django.fixtures import Settings
from scene import eventually

from sessions import finish, lifecycle
from sessions.models import State

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _alone(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.LOGS_DIR = tmp_path / "logs"
    settings.SPOOL_DIR = tmp_path / "spool"
    settings.TTS = "none"
    monkeypatch.setattr(finish, "ring", lambda pk: lifecycle.advance(pk, State.READY))


async def killed(server: FakeDiscord, cases: Sequence[Case] = CASES) -> list[Scene]:
    """Calls in full swing whose bot is dead, and Discord has noticed."""
    scenes = [stage.a_scene(server, case) for case in cases]
    async with Mortal(server) as bot:
        await stage.run_all(scenes, bot)
        await bot.dies()
    return scenes


def renamed_back(server: FakeDiscord, scene: Scene) -> int:
    """How often the bot has taken the sign off its name."""
    asked = server.asked("PATCH", f"/guilds/{scene.guild.id}/members/@me")
    return sum(one.body["nick"] == NICK for one in asked)


async def test_a_call_goes_on_where_its_people_still_sit(server: FakeDiscord) -> None:
    scenes = await killed(server)
    async with running(server) as bot:
        for scene in scenes:
            scene.bot = bot
        for scene in scenes:
            await eventually(lambda scene=scene: scene.has_begun)
            assert (await scene.row()).started_at == scene.session.started_at
            assert renamed_back(server, scene) == 0
        await ends.end_all(scenes, ends.leave_command)
        await ends.nothing_is_left(scenes)
    assert [renamed_back(server, scene) for scene in scenes] == [1] * len(scenes)


async def test_a_call_ends_where_everybody_has_left_meanwhile(
    server: FakeDiscord,
) -> None:
    scenes = await killed(server)
    for scene in scenes:
        scene.ann.leaves()
    async with running(server) as bot:
        for scene in scenes:
            scene.bot = bot
            scene.reasons = {"recovered"}
        await ends.nothing_is_left(scenes)
