"""Opting out: from a moment on nothing of somebody's is taken in one session, and its
transcript says so in their place.

Writes `Participant.opted_out_at`, and the event that tells of it. What they said before
is `transcripts.forgetting`'s.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from django.db import transaction
from django.utils import timezone

from sessions import events
from sessions.models import Participant, VoiceSession
from sessions.names import clean

log = structlog.get_logger(__name__)

UNRECORDED = "unrecorded"
"""The type of the event: somebody is there and is not recorded."""
IN_THEIR_PLACE = "(not recorded)"
NAME_MAX = 80


@dataclass(frozen=True, slots=True)
class Absent:
    """Somebody who is there and is not recorded; since when, on the timeline."""

    participant: UUID
    name: str
    at_ms: int


@transaction.atomic
def opt_out(
    session_id: int, participant_id: int, *, now: datetime | None = None
) -> bool:
    """Somebody in the session is not to be recorded any more; whether that is news."""
    session = VoiceSession.objects.select_for_update().get(pk=session_id)
    person = Participant.objects.get(pk=participant_id, session=session)
    if person.opted_out_at is not None:
        return False
    moment = now or timezone.now()
    Participant.objects.filter(pk=person.pk).update(opted_out_at=moment)
    _tell(session, person, moment)
    log.info("participant.opted_out", session=session_id, participant=person.pk)
    return True


@transaction.atomic
def is_here(
    session_id: int, *, key: str, name: str, now: datetime | None = None
) -> bool:
    """Somebody came who opted out before: said once, at the time they came. Whether
    that is news. They get no track."""
    session = VoiceSession.objects.select_for_update().get(pk=session_id)
    moment = now or timezone.now()
    shown = clean(name, longest=NAME_MAX) or f"Guest {session.participants.count() + 1}"
    person, _ = Participant.objects.get_or_create(
        session=session,
        key=key,
        defaults={"name": shown, "joined_at": moment, "left_at": moment},
    )
    if person.opted_out_at is not None or person.is_erased:
        return False
    Participant.objects.filter(pk=person.pk).update(opted_out_at=moment)
    _tell(session, person, moment)
    return True


def settle(
    session_id: int, *, taken: Collection[str], absent: Mapping[str, str]
) -> None:
    """Of people by their keys: whoever is `taken` is recorded again, whoever is
    `absent`, with their names, is here unrecorded. Where that is so already, nothing is
    asked of the database but who is there."""
    people = Participant.objects.filter(session=session_id)
    out = dict(people.values_list("key", "opted_out_at"))
    for key in taken:
        if out.get(key) is not None:
            opt_in(session_id, key=key)
    for key, name in absent.items():
        if out.get(key) is None:
            is_here(session_id, key=key, name=name)


def opt_in(session_id: int, *, key: str) -> bool:
    """They may be recorded again; the log keeps what it said."""
    people = Participant.objects.filter(session=session_id, key=key)
    return bool(people.exclude(opted_out_at=None).update(opted_out_at=None))


def opted_out(participant_ids: Iterable[int]) -> set[int]:
    """Those of them who want to be recorded no more."""
    rows = Participant.objects.filter(pk__in=list(participant_ids))
    return set(rows.exclude(opted_out_at=None).values_list("pk", flat=True))


def absent(session_id: int) -> list[Absent]:
    """Who was there and was not recorded, in order of time."""
    people = Participant.objects.filter(session=session_id).exclude(opted_out_at=None)
    found = people.select_related("session").order_by("opted_out_at", "pk")
    return [
        Absent(one.public_id, one.name, _at_ms(one.session, one.opted_out_at))
        for one in found
        if one.opted_out_at is not None
    ]


def _tell(session: VoiceSession, person: Participant, moment: datetime) -> None:
    data = {
        "participant": str(person.public_id),
        "name": person.name,
        "at_ms": _at_ms(session, moment),
    }
    events.append(session.pk, UNRECORDED, data)


def _at_ms(session: VoiceSession, moment: datetime) -> int:
    if session.started_at is None:
        return 0
    return max(round((moment - session.started_at).total_seconds() * 1000), 0)
