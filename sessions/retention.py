"""Retention: what may go once something better is kept, and when.

Driven by rows, not by the storage's own rules: keys begin with the session, so a rule
by prefix could not tell the tiers apart. A file goes only when the session is ready and
its master is in storage.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet
from django_q.tasks import async_task

from sessions import recordings
from sessions.models import Recording, State, Tier

log = structlog.get_logger(__name__)

AT_ONCE = 500
"""Files deleted in one round: the next one goes on."""


def sweep(*, now: datetime) -> int:
    """Delete what has been kept long enough; how many. Raises StorageError."""
    days = {
        Tier.ORIGINAL: settings.KEEP_ORIGINALS_DAYS,
        Tier.CHUNK: settings.KEEP_CHUNKS_DAYS,
        Tier.FRAGMENT: settings.KEEP_FRAGMENTS_DAYS,
    }
    gone = 0
    for tier, kept in days.items():
        if kept:  # 0 keeps for ever
            rows = list(_old(tier, before=now - timedelta(days=kept))[:AT_ONCE])
            recordings.forget(rows)
            gone += len(rows)
    if gone:
        log.info("retention.deleted", recordings=gone)
    return gone


def ring() -> None:
    """Have a worker sweep."""
    async_task("sessions.tasks.retain", cluster="media")


def _old(tier: Tier, *, before: datetime) -> QuerySet[Recording]:
    master = Recording.objects.filter(
        session=OuterRef("session"), tier=Tier.MASTER, state=Recording.State.STORED
    )
    return Recording.objects.filter(
        Exists(master),
        tier=tier,
        state=Recording.State.STORED,
        session__state=State.READY,
        session__ended_at__lt=before,
    )
