"""House-keeping: the rounds that end idle sessions and ring for forgotten work.

Every bot process makes them; a second one does no harm, for each step claims its row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from channels.db import aclose_old_connections, database_sync_to_async
from django.conf import settings
from django.utils import timezone

from sessions import flashes, pulses, reaper
from transcripts import sweeper

log = structlog.get_logger(__name__)

SWEEP_EVERY_S = 2.0
"""A killed worker's utterance waits this long, and a lost doorbell costs no more."""
TIDY_EVERY_S = 600.0


async def keep_house(stop: asyncio.Event) -> None:
    """Make the rounds until `stop` is set."""
    async with asyncio.TaskGroup() as rounds:
        rounds.create_task(_every(settings.SESSION_IDLE_TTL_S / 2, reap, stop))
        rounds.create_task(_every(SWEEP_EVERY_S, sweep, stop))
        rounds.create_task(_every(TIDY_EVERY_S, tidy, stop))


async def reap() -> None:
    done = await reaper.cycle(now=timezone.now())
    if done.idle or done.half_ended:
        log.info("reaper.ended", idle=done.idle, half_ended=done.half_ended)


async def sweep() -> None:
    await asyncio.to_thread(pulses.beat, "bot")
    done = await database_sync_to_async(sweeper.sweep)(now=timezone.now())
    if done.dead or done.expired:
        log.info("sweeper.freed", dead=done.dead, expired=done.expired)


async def tidy() -> None:
    await asyncio.to_thread(flashes.forget_old)


async def _every(
    seconds: float, work: Callable[[], Awaitable[None]], stop: asyncio.Event
) -> None:
    while not stop.is_set():
        try:
            await aclose_old_connections()
            await work()
        except Exception:
            # A locked or absent database today is a working one next round.
            log.exception("housekeeping.failed", work=work.__name__)
        try:
            await asyncio.wait_for(stop.wait(), seconds)
        except TimeoutError:
            continue
