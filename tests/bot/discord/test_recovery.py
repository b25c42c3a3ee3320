"""A bot that was killed, and the next one: by the database and by Discord alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import discord_ends as ends
import discord_scenes as stage
import pytest
from discord_bot import in_db, running
from discord_scenes import CASES, NICK, ROOMS, Case, Scene
from django.db import OperationalError
from fakecord.server import FakeDiscord
from mortal import Mortal
from pytest_django.fixtures import Settings
from scene import a_session, eventually

from bot.discord import unbroken
from bot.discord.client import ParleyBot
from bot.discord.guild import deeds
from bot.discord.guild.presence import MARK
from bot.discord.text import lines
from bot.models import DiscordCall
from sessions import lifecycle, participants
from sessions.models import Source, State, VoiceRequest, VoiceSession

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("done_at_once"),
]


async def killed(
    server: FakeDiscord,
    cases: Sequence[Case] = CASES,
    so_far: Callable[[Scene, Mortal], Awaitable[None]] = stage.runs,
) -> list[Scene]:
    """Calls that had come so far, and whose bot is dead."""
    scenes = [stage.a_scene(server, case) for case in cases]
    async with Mortal(server) as bot:
        await asyncio.gather(*(so_far(scene, bot) for scene in scenes))
        await bot.dies()
    return scenes


def found_by(bot: ParleyBot, scenes: Sequence[Scene], *, reason: str = "") -> None:
    """The next process, and why it may end them."""
    for scene in scenes:
        scene.bot = bot
        scene.reasons |= {reason} - {""}


def names(server: FakeDiscord, scene: Scene) -> list[str]:
    """What the bot has called itself, by its own doing."""
    asked = server.asked("PATCH", f"/guilds/{scene.guild.id}/members/@me")
    return [one.body["nick"] for one in asked]


async def test_a_call_goes_on_where_its_people_still_sit(server: FakeDiscord) -> None:
    scenes = await killed(server)
    async with running(server) as bot:
        found_by(bot, scenes)
        for scene in scenes:
            await eventually(partial(getattr, scene, "has_begun"))
            assert (await scene.row()).started_at == scene.session.started_at
        await ends.end_all(scenes, ends.leave_command)
        await ends.nothing_is_left(scenes)
    for scene in scenes:
        assert names(server, scene) == [f"{MARK}{NICK}", NICK]


@pytest.mark.parametrize(
    ("home", "step"),
    [(deeds, "of_session"), (deeds, "status_set"), (participants, "leave_all")],
    ids=lambda one: one if isinstance(one, str) else "",
)
async def test_a_database_that_is_away_just_then_ends_no_call(
    server: FakeDiscord, monkeypatch: pytest.MonkeyPatch, home: Any, step: str
) -> None:
    """Found by chaos: it was cut off for a moment behind the bot's restart."""
    monkeypatch.setattr(unbroken, "AGAIN_S", 0.05)
    scenes = await killed(server)
    works, refused = getattr(home, step), []

    def refuses_first(number: int, *words: Any, **more: Any) -> Any:
        if number not in refused:
            refused.append(number)
            raise OperationalError("server closed the connection unexpectedly")
        return works(number, *words, **more)

    monkeypatch.setattr(home, step, refuses_first)
    async with running(server) as bot:
        found_by(bot, scenes)
        for scene in scenes:
            await eventually(partial(getattr, scene, "has_begun"))
        numbers = [scene.session.pk for scene in scenes]
        if step == "status_set":
            ours = DiscordCall.objects.filter(session__in=numbers)
            numbers = await in_db(list)(ours.values_list("pk", flat=True))
        await eventually(lambda: sorted(refused) == sorted(numbers))
        await ends.end_all(scenes, ends.leave_command)
        await ends.nothing_is_left(scenes)


async def test_a_call_ends_where_everybody_has_left_meanwhile(
    server: FakeDiscord,
) -> None:
    scenes = await killed(server)
    for scene in scenes:
        scene.ann.leaves()
    async with running(server) as bot:
        found_by(bot, scenes, reason="recovered")
        await ends.nothing_is_left(scenes)


async def test_a_room_that_nobody_has_come_to_goes(server: FakeDiscord) -> None:
    scenes = await killed(server, ROOMS, stage.waits)
    async with running(server) as bot:
        found_by(bot, scenes, reason="recovered")
        await ends.nothing_is_left(scenes)


async def test_a_room_that_its_user_came_to_meanwhile_begins(
    server: FakeDiscord,
) -> None:
    scenes = await killed(server, ROOMS, stage.waits)
    for scene in scenes:
        assert scene.channel is not None
        scene.ann.joins(scene.channel)
    async with running(server) as bot:
        found_by(bot, scenes)
        for scene in scenes:
            await stage.goes_on(scene)
        await ends.end_all(scenes, ends.leave_command)
        await ends.nothing_is_left(scenes)


async def test_an_end_that_had_only_begun_goes_on(server: FakeDiscord) -> None:
    scenes = await killed(server)
    for scene in scenes:
        await in_db(lifecycle.request_stop)(scene.session.pk)
    async with running(server) as bot:
        found_by(bot, scenes, reason="recovered")
        await ends.nothing_is_left(scenes)


async def test_what_ended_while_no_bot_was_there_is_concluded(
    server: FakeDiscord,
) -> None:
    # Nobody has spoken: whoever ends them would wait for a dead process to write.
    scenes = await killed(server, so_far=partial(stage.runs, speaks=False))
    await ends.end_all(scenes, ends.ended_elsewhere)
    async with running(server) as bot:
        found_by(bot, scenes)
        await ends.nothing_is_left(scenes)


async def test_a_call_in_a_guild_that_has_thrown_us_out_meanwhile_ends(
    server: FakeDiscord,
) -> None:
    scenes = await killed(server)
    for scene in scenes:
        scene.mod.throws_the_bot_out()
    async with running(server) as bot:
        found_by(bot, scenes, reason="recovered")
        await ends.nothing_is_left(scenes)


async def test_of_what_was_not_to_be_kept_nothing_is(
    server: FakeDiscord, settings: Settings
) -> None:
    folder = Path(settings.LOGS_DIR) / "lines"
    folder.mkdir(parents=True)
    files = {}
    for record in (True, False):
        session = await in_db(a_session)(State.READY, guild_id="77", record=record)
        rows = VoiceSession.objects.filter(pk=session.pk)
        await in_db(rows.update)(source=Source.DISCORD)
        files[record] = lines.path_of(folder, session.public_id)
        files[record].write_text("{}\n")
    async with running(server):
        await eventually(lambda: not files[False].exists())
        assert files[True].exists()


async def test_whoever_had_got_nothing_is_served_by_the_next(
    server: FakeDiscord,
) -> None:
    scene = stage.a_scene(server, ROOMS[0])
    server.fail("PATCH", "*/members/@me", way="hang")
    async with Mortal(server) as bot:
        await stage.asks(scene, bot)
        await stage.until(lambda: scene.find())
        await bot.dies()
    server.mend()
    async with running(server):
        await eventually(lambda: server.world.me(scene.guild.id).voice)
        (request,) = await in_db(lambda: list(VoiceRequest.objects.all()))()
        sessions = VoiceSession.objects.order_by("pk").values_list("pk", "state")
        (first, was), (second, _) = await in_db(lambda: list(sessions))()
        assert (was, request.session_id) == (State.FAILED, second)
    calls = DiscordCall.objects.order_by("session").values_list("session", flat=True)
    assert await in_db(lambda: list(calls))() == [first, second]
