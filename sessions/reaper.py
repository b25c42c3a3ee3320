"""The reaper: ends what nobody holds any more. One cycle is one plain function."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from channels.db import database_sync_to_async
from django.conf import settings

from sessions import finish, participants, queries
from sessions.models import Source

log = structlog.get_logger(__name__)

REAPED = (Source.BROWSER, Source.PHONE)
"""Sources whose sessions somebody holds open: a page, or the line of a call."""
HALF_ENDED_S = 30.0
"""A stop that was asked for this long ago and is not marked: its process died."""


@dataclass(frozen=True, slots=True)
class Reaped:
    """What a cycle did, as ids of sessions; `gone` counts people."""

    idle: list[int]
    half_ended: list[int]
    rung: list[int]
    gone: int


async def cycle(*, now: datetime, watched_since: datetime | None = None) -> Reaped:
    """End idle sessions and half-ended ones; ring for unfinished ends.

    `watched_since`: from when on the database could be written without a break. While
    it was away nobody could renew anything, and nobody is to blame for that.
    """
    since = now - timedelta(seconds=settings.SESSION_IDLE_TTL_S)
    candidates: list[int] = []
    if watched_since is None or watched_since <= since:
        candidates = await database_sync_to_async(queries.idle)(REAPED, since=since)
    gone = await database_sync_to_async(participants.leave_stale)(
        since=now - timedelta(seconds=participants.STALE_S)
    )
    idle = [pk for pk in candidates if await _end_idle(pk, since)]
    stuck = await database_sync_to_async(queries.half_ended)(
        since=now - timedelta(seconds=HALF_ENDED_S)
    )
    half_ended = [pk for pk in stuck if await _close(pk)]
    rung = await database_sync_to_async(finish.ring_all)()
    return Reaped(idle, half_ended, rung, gone)


async def _end_idle(session_id: int, since: datetime) -> bool:
    try:
        return await finish.end(session_id, reason="idle", idle_since=since)
    except Exception:
        # One session that will not end must not keep the others alive.
        log.exception("reaper.failed", session=session_id)
        return False


async def _close(session_id: int) -> bool:
    try:
        return await finish.close(session_id, reason="recovered")
    except Exception:
        log.exception("reaper.failed", session=session_id)  # as above
        return False
