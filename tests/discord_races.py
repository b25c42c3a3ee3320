"""Ends of Discord calls that come together with something else: with their beginning,
with a user who is late, with the death of the process."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence

from discord_ends import (
    IN_ONE_GUILD,
    Way,
    end,
    ended_elsewhere,
    leave_command,
    nobody_speaks,
    stop_requested,
)
from discord_scenes import Scene, asks, run_all, until, waits
from django.conf import settings
from fakecord.interactions import Barred
from fakecord.server import FakeDiscord
from mortal import Mortal

from bot.discord.client import ParleyBot
from sessions.models import State

OVER = (State.FINISHING, State.READY, State.FAILED)
UNBEGUN = {"connect_failed", "not_in_voice", "channel_gone", "discord_failed"}
"""Why nothing comes of a call whose channel goes while it begins."""
MORTAL = tuple(way for way in IN_ONE_GUILD if way is not nobody_speaks)
"""Ways that a process may die of: its timers are its own."""
UNDISTURBED = (ended_elsewhere, stop_requested)
"""Ways that go on without a bot."""


async def end_early(scene: Scene, bot: ParleyBot, way: Way, *, wait_s: float) -> None:
    """Ended by `way` so long after there is a session, wherever its beginning is by
    then; and by a command, where that was too early."""
    scene.reasons |= UNBEGUN
    await asks(scene, bot)
    await until(lambda: _exists(scene))
    coming = asyncio.create_task(_comes(scene))
    await asyncio.sleep(wait_s)
    await end(scene, way)
    await coming
    if scene.has_call:
        await end(scene, leave_command)


async def comes_late(scene: Scene, bot: ParleyBot, offset_s: float) -> str:
    """Ann comes so long after her time was up, or before. Returns why it ended."""
    scene.reasons |= {"join_timeout", "left"}
    await waits(scene, bot)
    await asyncio.sleep(settings.VOICE_TIMEOUT + offset_s)
    if scene.channel is not None:
        with contextlib.suppress(Barred):
            scene.ann.joins(scene.channel)
    await until(lambda: _is(scene, State.ACTIVE, *OVER))
    if scene.ann.channel is not None:
        scene.ann.leaves()
    await until(lambda: _is(scene, *OVER))
    return (await scene.row()).end_reason


async def end_in_death(
    scenes: Sequence[Scene],
    server: FakeDiscord,
    ways: Sequence[Way],
    *,
    chance: random.Random,
    within_s: float,
) -> None:
    """Each by its way, while the process is killed: all by chance within a while."""
    async with Mortal(server) as bot:
        await run_all(scenes, bot)
        ends = [
            asyncio.create_task(
                end(scene, way, offsets_s=[chance.uniform(0, within_s)])
            )
            for scene, way in zip(scenes, ways, strict=True)
        ]
        await asyncio.sleep(chance.uniform(0, within_s))
        await bot.dies()
    for task, way in zip(ends, ways, strict=True):
        if way not in UNDISTURBED:
            task.cancel()  # nobody answers any more
    await asyncio.wait(ends)


async def end_after_death(scenes: Sequence[Scene], bot: ParleyBot) -> None:
    """What the next process goes on with, a command ends."""
    for scene in scenes:
        scene.bot = bot
        scene.reasons |= {"recovered"}
    await asyncio.gather(*(_end_after_death(scene) for scene in scenes))


async def _end_after_death(scene: Scene) -> None:
    await until(lambda: _has_begun_or_is_over(scene))
    if scene.has_call:
        await end(scene, leave_command)


async def _comes(scene: Scene) -> None:
    """Into the room when it is there; until the call is in swing, or is none."""
    if scene.case.is_room:
        await until(lambda: _is(scene, State.WAITING, *OVER))
        scene.channel_id = int((await scene.row()).channel_id or 0)
        with contextlib.suppress(Barred):
            if scene.channel is not None:
                scene.ann.joins(scene.channel)
    await until(lambda: _has_begun_or_is_over(scene))


async def _has_begun_or_is_over(scene: Scene) -> bool:
    return scene.has_begun or await _is(scene, *OVER)


async def _exists(scene: Scene) -> bool:
    return await scene.find() is not None


async def _is(scene: Scene, *states: State) -> bool:
    return (await scene.row()).state in states
