"""THE writer of participants: who joined, who left, where their stream goes on.

The session's row is locked first, always: two who lock in different orders wait for
each other for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import structlog
from django.db import transaction
from django.utils import timezone

from sessions import events
from sessions.errors import SessionEndedError
from sessions.models import ERASED, Participant, Source, State, VoiceSession
from sessions.names import clean

if TYPE_CHECKING:
    from django.db.models import QuerySet

log = structlog.get_logger(__name__)

NAME_MAX = 80
UNKNOWN = "Unknown"
STALE_S = 30.0
"""Not renewed for so long (six beats): the process that held the person is dead."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Where a broken browser stream goes on: samples and positions at 48 kHz."""

    participant_id: int
    origin: int
    samples: int


@dataclass(frozen=True, slots=True)
class Sight:
    """A connection that is open now."""

    participant_id: int
    connection: str


def clean_name(raw: str) -> str:
    """A name fit for a screen: no control characters, no line breaks, 80 at most."""
    return clean(raw, longest=NAME_MAX)


def join(
    session_id: int, *, key: str, name: str, connection: str, was_heard: bool = False
) -> Participant:
    """The person `key`, now held by `connection`: made on the first, found after that.

    A newer connection takes the person over from an older one. Whoever was heard
    before the stop was seen still joins: their words only waited. Raises
    SessionEndedError when the session takes no more sound.
    """
    with transaction.atomic():
        # Locks the row: nobody joins between the stop and the last one leaving.
        session = VoiceSession.objects.select_for_update().get(pk=session_id)
        takes_them = session.state == State.ACTIVE if was_heard else session.is_open
        if not takes_them:
            raise SessionEndedError
        name = clean_name(name) or f"Guest {session.participants.count() + 1}"
        person, _ = Participant.objects.get_or_create(
            session=session, key=key, defaults={"name": name}
        )
        _hold(person, connection)
    log.info("participant.joined", session=session_id, participant=person.pk)
    return person


def leave(
    session_id: int,
    participant_id: int,
    *,
    connection: str,
    stream: Stream | None = None,
) -> None:
    """A connection closed; if it still held the person, they are off the list."""
    with _locked(session_id, participant_id) as person:
        if stream is not None:
            note_streams([stream])
        if person is None or person.held_by != connection:
            return
        _release(person)
    log.info("participant.left", session=session_id, participant=participant_id)


def leave_all(session_id: int) -> int:
    """Take off the list whoever a dead process left on it; returns how many."""
    with transaction.atomic():
        VoiceSession.objects.select_for_update().get(pk=session_id)
        stale = list(_held().filter(session=session_id))
        for person in stale:
            _release(person)
    return len(stale)


def leave_stale(*, since: datetime) -> int:
    """Take off the lists whoever nobody has seen after `since`; returns how many."""
    gone = 0
    stale = _held().filter(seen_at__lt=since).values_list("session", "pk")
    for session_id, pk in list(stale):
        with _locked(session_id, pk) as person:
            # Looked at again under the lock: they may just have come back.
            if person and person.held_by and person.seen_at and person.seen_at < since:
                _release(person)
                gone += 1
    return gone


def renew(sights: Iterable[Sight], *, now: datetime | None = None) -> list[Sight]:
    """Say that these connections are open; those that hold nobody any more.

    Some of them have left meanwhile. Others were taken off the list (the database was
    away, and the reaper faster): `put_back` is for them.
    """
    now = now or timezone.now()
    return [sight for sight in sights if not _renew(sight, now)]


def put_back(sight: Sight) -> None:
    """Put somebody on the list again whose connection is open and was not seen."""
    known = Participant.objects.filter(pk=sight.participant_id, held_by="")
    for session_id in known.values_list("session", flat=True):
        with _locked(session_id, sight.participant_id) as person:
            # Of a newer connection by now, or in a session that ends: left alone.
            if person and not person.held_by and person.session.is_open:
                _hold(person, sight.connection)


def note_streams(streams: Iterable[Stream]) -> None:
    """Keep where streams go on. They only grow: an older connection's word does not
    undo a newer one's."""
    for stream in streams:
        Participant.objects.filter(
            pk=stream.participant_id, stream_samples__lte=stream.samples
        ).update(stream_origin=stream.origin, stream_samples=stream.samples)


def connected(session_id: int) -> int:
    """How many people have an open connection, in whatever process."""
    return _held().filter(session=session_id).count()


def _held() -> QuerySet[Participant]:
    return Participant.objects.exclude(held_by="")


@contextmanager
def _locked(session_id: int, participant_id: int) -> Iterator[Participant | None]:
    """The person, in a transaction that holds their session's row, or None."""
    with transaction.atomic():
        # Locks the row, and is cheap: the list of its columns is of no use here.
        rows = VoiceSession.objects.select_for_update().filter(pk=session_id)
        rows.values_list("pk").first()
        people = Participant.objects.filter(pk=participant_id, session=session_id)
        yield people.select_related("session").first()


def _hold(person: Participant, connection: str) -> None:
    Participant.objects.filter(pk=person.pk).update(
        held_by=connection, seen_at=timezone.now(), left_at=None
    )
    if not person.held_by:
        _tell(person, present=True)


def _release(person: Participant) -> None:
    Participant.objects.filter(pk=person.pk).update(held_by="", left_at=timezone.now())
    _tell(person, present=False)


def _renew(sight: Sight, now: datetime) -> bool:
    held = Participant.objects.filter(pk=sight.participant_id, held_by=sight.connection)
    return bool(held.update(seen_at=now))


def _tell(person: Participant, *, present: bool) -> None:
    data = {
        "participant": str(person.public_id),
        "name": person.name,
        "present": present,
    }
    events.append(person.session_id, "participant", data)


def restore(session_id: int, public_id: UUID) -> Participant:
    """Somebody of whom only sound is left: found, or made without a name."""
    person, _ = Participant.objects.get_or_create(
        public_id=public_id,
        defaults={
            "session_id": session_id,
            "key": str(public_id),
            "name": UNKNOWN,
            "left_at": timezone.now(),
        },
    )
    return person


def of_key(key: str, *, source: Source, before: datetime) -> list[Participant]:
    """Somebody in all sessions of a source that they came to before a moment; also
    where `erase` has begun, and `forget` was not reached."""
    people = Participant.objects.filter(
        key__in=(key, ERASED + key), session__source=source, joined_at__lte=before
    )
    return list(people.select_related("session").order_by("pk"))


def erase(person: Participant) -> None:
    """Take a person's name away, and nothing of theirs in any more: what still lies on
    some host is dropped there. Their key is kept until `forget`, for whoever deletes
    their files to find them by. The caller's transaction holds the session's row."""
    if not person.is_erased:
        person.key = ERASED + person.key
        Participant.objects.filter(pk=person.pk).update(
            key=person.key, name=UNKNOWN, language=""
        )


def forget(person: Participant) -> None:
    """Nothing of theirs is left: nor is it kept who they were."""
    key = f"{ERASED}{person.public_id}"
    Participant.objects.filter(pk=person.pk).update(key=key)
    log.info("participant.erased", session=person.session_id, participant=person.pk)


def is_erased(public_id: UUID | None) -> bool:
    """Whether what is found of this person is to be dropped."""
    if public_id is None:
        return False
    theirs = Participant.objects.filter(public_id=public_id)
    return theirs.filter(key__startswith=ERASED).exists()
