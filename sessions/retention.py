"""Retention: what may go, and when. Pieces go once something better is kept; in the end
all sound of a session, when its days are over.

Driven by rows, not by the storage's own rules: keys begin with the session, so a rule
by prefix could not tell the tiers apart. Words are `transcripts.expiring`'s: the
setting RETAINERS names both.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.module_loading import import_string

from sessions import events, hosts, keeping, keys, mixing, recordings, spool
from sessions.models import Recording, Source, State, Tier, VoiceSession
from sessions.storage import StorageError, storage

log = structlog.get_logger(__name__)

AT_ONCE = 500
"""Files that storage is asked to delete at once."""
ROUNDS = 100
"""So often at most: the next hour goes on."""
SESSIONS_AT_ONCE = 1000
OVER = (State.READY, State.FAILED)
EXPIRED = "expired"
"""The type of the event that tells what was deleted: `sound` or `words`."""


def run(*, now: datetime) -> int:
    """Everybody who deletes what was kept long enough; how much went. One who cannot
    does not stop the others: the first error is raised when all have tried."""
    gone, errors = 0, []
    for path in settings.RETAINERS:
        try:
            gone += import_string(path)(now=now)
        except (StorageError, OSError) as e:
            log.warning("retention.refused", retainer=path, why=type(e).__name__)
            errors.append(e)
    if errors:
        raise errors[0]
    return gone


def sweep(*, now: datetime) -> int:
    """Delete what something better is kept of; how many. Raises StorageError."""
    gone = 0
    for tier in (Tier.ORIGINAL, Tier.CHUNK, Tier.FRAGMENT):
        for _ in range(ROUNDS):
            rows = list(_old(tier, now=now)[:AT_ONCE])
            recordings.forget(rows)
            gone += len(rows)
            if len(rows) < AT_ONCE:
                break
    if gone:
        log.info("retention.deleted", recordings=gone)
    return gone


def sweep_sound(*, now: datetime) -> int:
    """Delete all sound of sessions whose days are over; how many sessions. Raises
    StorageError; then it may be called again."""
    left = Recording.objects.filter(session=OuterRef("pk"), tier__in=keeping.SOUND)
    is_due = expired(Tier.MASTER, now=now) & Q(sound_deleted_at=None)
    has_begun = Q(sound_deleted_at__isnull=False) & Exists(left)
    rows = VoiceSession.objects.filter(is_due | has_begun, record=True)
    # One that somebody is still at holds up none behind it.
    dropped = (_drop_sound(session, now=now) for session in rows.order_by("pk"))
    return sum(islice(filter(None, dropped), SESSIONS_AT_ONCE))


def expired(tier: Tier, *, now: datetime, prefix: str = "") -> Q:
    """Sessions of which a tier was kept long enough: by their own date, or by the
    settings. `prefix` leads to the session, from another table."""

    def field(**fields: object) -> Q:
        return Q(**{f"{prefix}{name}": value for name, value in fields.items()})

    by_days = Q(pk__in=[])
    for source in Source.values:
        if days := keeping.days_of(tier, source):  # 0 keeps for ever
            before = now - timedelta(days=days)
            by_days |= field(source=source, ended_at__lt=before)
    by_days &= field(keep_until=None)
    dated = field(keep_until__lt=now.date())
    return field(keep_forever=False, state__in=OVER) & (dated | by_days)


def is_expired(session: VoiceSession, tier: Tier, *, now: datetime) -> bool:
    """Whether that still holds: somebody may have asked to keep it meanwhile."""
    return VoiceSession.objects.filter(expired(tier, now=now), pk=session.pk).exists()


def ring() -> None:
    """Have a worker sweep. Never raises; the next hour's ring finds the same."""
    hosts.put("sessions.tasks.retain", queue=hosts.MEDIA)


def _old(tier: Tier, *, now: datetime) -> QuerySet[Recording]:
    master = Recording.objects.filter(
        session=OuterRef("session"), tier=Tier.MASTER, state=Recording.State.STORED
    )
    return Recording.objects.filter(
        expired(tier, now=now, prefix="session__"),
        Exists(master),
        tier=tier,
        state=Recording.State.STORED,
        session__state=State.READY,
    )


def _drop_sound(session: VoiceSession, *, now: datetime) -> bool:
    """All of it, also what no row knows of; False while somebody is at its files."""
    with mixing.alone(session) as is_ours:
        if not is_ours or not _claim(session, now=now):
            return False
        if not _drop_folders(session):
            return False
        prefix = keys.session_prefix(session.public_id)
        found = [one.key for one in storage().listing(prefix) if _is_sound(one.key)]
        storage().delete(found)
        rows = Recording.objects.filter(session=session, tier__in=keeping.SOUND)
        recordings.forget(list(rows))
        mixing.drop_work(session)
    log.info("retention.sound_deleted", session=session.pk, objects=len(found))
    return True


@transaction.atomic
def _claim(session: VoiceSession, *, now: datetime) -> bool:
    """From here on its sound is gone; False when somebody keeps it after all. Holds the
    row's lock as `keeping.decide` does: of the two, one comes first."""
    row = VoiceSession.objects.select_for_update().get(pk=session.pk)
    if row.sound_deleted_at is not None:
        return True  # begun, and not come to its end
    if not is_expired(row, Tier.MASTER, now=now):
        return False
    note_deleted(row, "sound", now=now)
    return True


@transaction.atomic
def note_deleted(session: VoiceSession, what: str, *, now: datetime) -> None:
    """On the session's row, and in its log: `sound` or `words`."""
    VoiceSession.objects.filter(pk=session.pk).update(**{f"{what}_deleted_at": now})
    events.append(session.pk, EXPIRED, {"what": what})


def _drop_folders(session: VoiceSession) -> bool:
    for folder in spool.folders(session.public_id):
        with folder.taken() as is_ours:
            if not is_ours:
                return False
            folder.drop()
    return True


def _is_sound(key: str) -> bool:
    parsed = keys.parse(key)
    return parsed is not None and parsed.tier in keeping.SOUND
