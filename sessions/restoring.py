"""Restoring: sessions of which storage has the sound, and the database knows nothing.

A lost database is a backup's matter; without one, what was recorded comes back all the
same, with the times that its keys tell, and without titles, names and words.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from sessions import finish, keys, lifecycle, participants, recordings
from sessions.audio.frames import TIMELINE_RATE
from sessions.keys import Parsed
from sessions.models import Deleted, Tier, VoiceSession
from sessions.recovery import Recovered
from sessions.storage import Stored, storage

log = structlog.get_logger(__name__)

ORDER = (Tier.FRAGMENT, Tier.CHUNK)
"""What holds sound, in the order in which it is taken in."""

Found = list[tuple[Parsed, Stored]]


def restore(public_id: UUID | None = None, *, dry_run: bool = False) -> list[Recovered]:
    """Sessions again, of all sound in storage that belongs to none. Raises
    StorageError: then nothing can be said."""
    prefix = keys.session_prefix(public_id) if public_id else f"{keys.ROOT}/"
    unknown = _unknown(prefix)
    results = []
    for session, found in unknown.items():
        done = "would be restored" if dry_run else _restored(session, found)
        results.append(Recovered(str(session), f"{len(found)} files in storage", done))
    return results


def _unknown(prefix: str) -> dict[UUID, Found]:
    lying: dict[UUID, Found] = defaultdict(list)
    for stored in storage().listing(prefix):
        parsed = keys.parse(stored.key)
        if parsed is not None and parsed.tier in ORDER:
            lying[parsed.session].append((parsed, stored))
    for kind in (VoiceSession, Deleted):  # of these there is none to be again
        known = kind.objects.filter(public_id__in=list(lying))
        for public_id in known.values_list("public_id", flat=True):
            del lying[public_id]
    return lying


def _restored(public_id: UUID, found: Found) -> str:
    started_at = min(_moment(parsed) for parsed, _ in found)
    ended_at = max(_moment(parsed) + _lasted(stored) for parsed, stored in found)
    session = lifecycle.restore(public_id, started_at=started_at, ended_at=ended_at)
    for parsed, stored in sorted(found, key=_place_in_order):
        if parsed.participant is not None:
            participants.restore(session.pk, parsed.participant)
        recordings.take_in(session, parsed, stored)
    recordings.place_by_chunks(session.pk)
    log.info("session.restored", session=session.pk, files=len(found))
    return "ready" if finish.complete(session.pk) else "waiting"


def _place_in_order(one: tuple[Parsed, Stored]) -> tuple[int, str]:
    parsed, stored = one
    return ORDER.index(Tier(parsed.tier)), stored.key


def _moment(parsed: Parsed) -> datetime:
    assert parsed.started_at is not None
    return parsed.started_at


def _lasted(stored: Stored) -> timedelta:
    return timedelta(seconds=recordings.samples_in(stored.size) / TIMELINE_RATE)
