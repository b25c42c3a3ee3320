"""THE writer of session state: one table, one conditional UPDATE.

Never does the work of an end (that is `finish`) and never deletes a row.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from sessions import events
from sessions.models import Source, State, VoiceSession

log = structlog.get_logger(__name__)

ALLOWED: dict[State, frozenset[State]] = {
    State.REQUESTED: frozenset({State.WAITING, State.ACTIVE, State.FAILED}),
    State.WAITING: frozenset({State.ACTIVE, State.FAILED}),
    State.ACTIVE: frozenset({State.FINISHING, State.FAILED}),
    State.FINISHING: frozenset({State.READY, State.FAILED}),
    State.READY: frozenset({State.DELETED}),
    State.FAILED: frozenset({State.FINISHING, State.DELETED}),
    State.DELETED: frozenset(),
}


def advance(
    session_id: int,
    to: State,
    *,
    reason: str = "",
    failure: str = "",
    now: datetime | None = None,
) -> bool:
    """Move a session to `to`; True for exactly one of all who try.

    The loser of a race, and whoever comes from a state that does not lead to `to`,
    gets False and stops quietly. The event is in the same transaction.
    """
    sources = [state for state, targets in ALLOWED.items() if to in targets]
    changes = _changes(to, reason=reason, failure=failure, now=now or timezone.now())
    with transaction.atomic():
        won = VoiceSession.objects.filter(pk=session_id, state__in=sources)
        if to == State.FINISHING:
            # A session that failed before it began has no end to go through.
            won = won.filter(started_at__isnull=False)
        if won.update(state=to, **changes) != 1:
            return False
        events.append(session_id, "state", {"state": to.value, "reason": reason})
    log.info("session.state", session=session_id, state=to.value, reason=reason)
    return True


def restore(
    public_id: UUID, *, started_at: datetime, ended_at: datetime | None = None
) -> VoiceSession:
    """A session of which only sound is left, on its way to its end: its row was lost
    with the database. Found if it is there after all. It ended just now if nobody
    knows better."""
    with transaction.atomic():
        session, made = VoiceSession.objects.get_or_create(
            public_id=public_id,
            defaults={
                "source": Source.BROWSER,
                "state": State.FINISHING,
                "started_at": started_at,
                "ended_at": ended_at or timezone.now(),
                "end_reason": "recovered",
            },
        )
        if made:
            told = {"state": State.FINISHING.value, "reason": "recovered"}
            events.append(session.pk, "state", told)
    return session


def _changes(to: State, *, reason: str, failure: str, now: datetime) -> dict[str, Any]:
    # What has ended once, ended then: a retry does not move it.
    ended = Coalesce(F("ended_at"), now)
    if to == State.ACTIVE:
        return {"started_at": now, "heartbeat_at": now}
    if to == State.FINISHING:
        return {"ended_at": ended, "end_reason": reason, "failure": ""}
    if to == State.FAILED:
        return {"failure": failure, "ended_at": ended, "end_reason": reason}
    return {}


def request_stop(
    session_id: int, *, idle_since: datetime | None = None, now: datetime | None = None
) -> bool:
    """Ask whoever captures this session to stop; True for the first who asks.

    With `idle_since`, only while nobody has renewed it after that moment.
    """
    rows = VoiceSession.objects.filter(
        pk=session_id, state=State.ACTIVE, stop_requested_at=None
    )
    if idle_since is not None:
        rows = rows.filter(Q(heartbeat_at__lt=idle_since) | Q(heartbeat_at=None))
    with transaction.atomic():
        if rows.update(stop_requested_at=now or timezone.now()) != 1:
            return False
        events.append(session_id, "state", {"state": "stopping", "reason": ""})
    return True


def touch(session_ids: Iterable[int], *, now: datetime | None = None) -> int:
    """Renew the heartbeat of active sessions; returns how many there were."""
    alive = VoiceSession.objects.filter(pk__in=list(session_ids), state=State.ACTIVE)
    return alive.update(heartbeat_at=now or timezone.now())
