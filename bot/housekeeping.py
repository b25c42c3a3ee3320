"""House-keeping: the rounds that end idle sessions and ring for forgotten work.

Every bot process makes them; a second one does no harm, for each step claims its row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import structlog
from channels.db import aclose_old_connections, database_sync_to_async
from django.conf import settings
from django.utils import timezone

from bot.discord.guild import deeds
from bot.parts import Part
from bot.phone import calls
from sessions import (
    audit,
    flashes,
    guilds,
    jobs,
    measures,
    pulses,
    queue,
    reaper,
    recovery,
    retention,
)
from transcripts import archive as transcript
from transcripts import figures, forgetting, reporting, sweeper

log = structlog.get_logger(__name__)

SWEEP_EVERY_S = 2.0
"""A killed worker's utterance waits this long, and a lost doorbell costs no more."""
ARCHIVE_EVERY_S = 10.0
TIDY_EVERY_S = 600.0
RETAIN_EVERY_S = 3600.0
RECOVER_EVERY_S = 300.0
"""Sound whose session has ended lies in the spool: rare, and never urgent."""


async def keep_house(stop: asyncio.Event, *, parts: Sequence[Part] = ()) -> None:
    """Make the rounds until `stop` is set, and say that this process and its `parts`
    live."""

    async def live() -> None:
        for part in parts:
            await asyncio.to_thread(pulses.beat, part)

    async with asyncio.TaskGroup() as rounds:
        rounds.create_task(_every(pulses.EVERY_S, live, stop))
        rounds.create_task(_every(settings.SESSION_IDLE_TTL_S / 2, Reaping(), stop))
        rounds.create_task(_every(SWEEP_EVERY_S, sweep, stop))
        rounds.create_task(_every(ARCHIVE_EVERY_S, archive, stop))
        rounds.create_task(_every(TIDY_EVERY_S, tidy, stop))
        rounds.create_task(_every(RECOVER_EVERY_S, Recovering(), stop))
        rounds.create_task(_every(RETAIN_EVERY_S, retain, stop))


class Reaping:
    """The reaper's rounds. After a round that failed, and at first, everybody gets the
    whole idle time to come back: nobody could be heard meanwhile."""

    def __init__(self, *, clock: Callable[[], datetime] = timezone.now) -> None:
        self._clock = clock
        self._watched_since: datetime | None = None

    async def __call__(self) -> None:
        now = self._clock()
        since, self._watched_since = self._watched_since or now, None
        done = await reaper.cycle(now=now, watched_since=since)
        self._watched_since = since
        ended = len(done.half_ended) + len(done.idle)
        measures.orphans("session", found=ended, healed=ended)
        measures.orphans("person", found=done.gone, healed=done.gone)
        if done.idle or done.half_ended or done.gone:
            log.info(
                "reaper.ended",
                idle=done.idle,
                half_ended=done.half_ended,
                gone=done.gone,
            )


async def sweep() -> None:
    await asyncio.to_thread(pulses.beat, Part.BOT)
    done = await database_sync_to_async(sweeper.sweep)(now=timezone.now())
    freed = done.dead + done.expired
    measures.orphans("utterance", found=freed, healed=freed)
    if done.dead or done.expired:
        log.info("sweeper.freed", dead=done.dead, expired=done.expired)
    await database_sync_to_async(jobs.sweep)(now=timezone.now())


async def archive() -> None:
    """Have transcripts that people have changed stored again; and sessions that have
    ended be told of."""
    if rung := await database_sync_to_async(transcript.ring)(now=timezone.now()):
        log.info("archive.rung", sessions=rung)
    await database_sync_to_async(figures.tell_all)()


class Recovering:
    """The rounds for what lies in this host's spool; and for what was rung for in
    vain."""

    def __init__(self) -> None:
        self._lying: set[int] = set()

    async def __call__(self) -> None:
        found = set(await database_sync_to_async(recovery.ring)())
        new, gone = found - self._lying, self._lying - found
        measures.orphans("recording", found=len(new), healed=len(gone))
        measures.LEFT_BEHIND.set(len(found))
        self._lying = found
        if found:
            log.info("recovery.rung", sessions=sorted(found))
        await database_sync_to_async(forgetting.ring_all)()
        await database_sync_to_async(reporting.ring_all)()


async def retain() -> None:
    """Have old files deleted, and forget people whom no session needs any more, and
    what is known of people for a time only."""
    await database_sync_to_async(retention.ring)()
    await database_sync_to_async(queue.forget_old)()
    await database_sync_to_async(deeds.forget_ownerless)()
    await database_sync_to_async(calls.forget_unused)()
    await database_sync_to_async(audit.forget_old)()
    await database_sync_to_async(guilds.forget_old)()


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
            log.exception("housekeeping.failed", work=repr(work))
        try:
            await asyncio.wait_for(stop.wait(), seconds)
        except TimeoutError:
            continue
