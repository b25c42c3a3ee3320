"""THE writer of participants: who joined, who left, where their stream goes on, and
under which name they are shown.

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
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, Max, Q
from django.utils import timezone

from sessions import events, timezero
from sessions.consent import OptedOutError
from sessions.errors import SessionEndedError, VoiceError
from sessions.models import (
    ERASED,
    Naming,
    Participant,
    Source,
    State,
    VoiceSession,
)
from sessions.names import clean

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser
    from django.db.models import QuerySet

log = structlog.get_logger(__name__)

NAME_MAX = 80
UNKNOWN = "Unknown"
OURS = "parley"
"""The key of what we say ourselves, in every session: nobody else has it."""
STALE_S = 30.0
"""Not renewed for so long (six beats): the process that held the person is dead."""
KEPT = (State.ACTIVE, State.FINISHING, State.READY)
"""What a session that was heard may have come to: its recording takes up what comes to
light later."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Where a broken browser stream goes on: samples and positions at 48 kHz."""

    participant_id: int
    origin: int
    samples: int


@dataclass(frozen=True, slots=True)
class Losses:
    """What was sent over a connection and is not there: holes of more than 40 ms, and
    how long they were together; pieces that came and were of no use (too late,
    damaged)."""

    gaps: int = 0
    gap_ms: int = 0
    dropped: int = 0

    def __add__(self, other: Losses) -> Losses:
        gaps, gap_ms = self.gaps + other.gaps, self.gap_ms + other.gap_ms
        return Losses(gaps, gap_ms, self.dropped + other.dropped)

    def __sub__(self, other: Losses) -> Losses:
        gaps, gap_ms = self.gaps - other.gaps, self.gap_ms - other.gap_ms
        return Losses(gaps, gap_ms, self.dropped - other.dropped)


@dataclass(frozen=True, slots=True)
class Sight:
    """A connection that is open now."""

    participant_id: int
    connection: str


def clean_name(raw: str) -> str:
    """A name fit for a screen: no control characters, no line breaks, 80 at most."""
    return clean(raw, longest=NAME_MAX)


def join(
    session_id: int,
    *,
    key: str,
    name: str,
    connection: str,
    user_id: int | None = None,
    was_heard: bool = False,
    consent_to: str = "",
) -> Participant:
    """The person `key`, now held by `connection`: made on the first, found after that.
    `user_id` is the account they are signed in with, if they are.

    A newer connection takes the person over from an older one. Whoever was heard
    before the stop was seen still joins, however far the end has come: their words only
    waited. Raises SessionEndedError when the session takes no more sound, and
    OptedOutError for whoever wants to be in it no more.
    """
    with transaction.atomic():
        # Locks the row: nobody joins between the stop and the last one leaving.
        session = VoiceSession.objects.select_for_update().get(pk=session_id)
        takes_them = session.state in KEPT if was_heard else session.is_open
        if not takes_them:
            raise SessionEndedError
        name = clean_name(name) or f"Guest {session.participants.count() + 1}"
        person, _ = Participant.objects.get_or_create(
            session=session,
            key=key,
            defaults={"name": name},
        )
        if person.opted_out_at is not None:
            raise OptedOutError
        if user_id is not None and person.user_id is None:
            Participant.objects.filter(pk=person.pk).update(user_id=user_id)
        _note_consent(person, consent_to)
        _hold(person, connection)
        timezero.settle(session)
    log.info("participant.joined", session=session_id, participant=person.pk)
    return person


def _note_consent(person: Participant, to: str) -> None:
    """When, and to which words: kept from the first time; other words are agreed to
    anew."""
    if to and to != person.consent_to:
        person.consent_to, person.consented_at = to, timezone.now()
        Participant.objects.filter(pk=person.pk).update(
            consent_to=to, consented_at=person.consented_at
        )


def leave(
    session_id: int,
    participant_id: int,
    *,
    connection: str,
    stream: Stream | None = None,
    losses: Losses | None = None,
) -> None:
    """A connection closed; if it still held the person, they are off the list."""
    with _locked(session_id, participant_id) as person:
        if stream is not None:
            note_streams([stream])
        if losses is not None and losses != Losses():
            _note_losses(participant_id, losses)
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


def _note_losses(participant_id: int, losses: Losses) -> None:
    """Beside those of their connections before."""
    Participant.objects.filter(pk=participant_id).update(
        gaps=F("gaps") + losses.gaps,
        gap_ms=F("gap_ms") + losses.gap_ms,
        dropped=F("dropped") + losses.dropped,
    )


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


def rename(
    session: VoiceSession, public_id: UUID | str, name: str, *, by: AbstractBaseUser
) -> Participant:
    """Give somebody another name, in all that they said; whoever was merged into them
    goes by it, too. Raises VoiceError."""
    if not (name := clean_name(name)):
        raise VoiceError("empty", "A person needs a name.", status=422)
    with transaction.atomic():
        _lock(session.pk)
        person = _find(session, public_id).shown
        if name != person.name:
            _note(person, Naming.Kind.RENAMED, after=name, by=by)
            Participant.objects.filter(pk=person.pk).update(name=name)
            person.name = name
            data = {"participant": str(person.public_id), "name": name}
            events.append(session.pk, "participant.renamed", data)
            log.info("participant.renamed", session=session.pk, participant=person.pk)
    return person


def merge(
    session: VoiceSession,
    public_id: UUID | str,
    *,
    into: UUID | str,
    by: AbstractBaseUser,
) -> Participant:
    """Have two be shown as one person: all of the first's as the second's, who is
    returned. Raises VoiceError.

    No line and no file changes hands: whoever asks to be erased, or to be recorded no
    more, is found by the key that their own part still has.
    """
    with transaction.atomic():
        _lock(session.pk)
        person, head = _find(session, public_id), _find(session, into).shown
        if person.shown == head:
            raise VoiceError("same", "They are one person already.", status=409)
        if person.is_present:
            message = "They are speaking in the session now: merge them afterwards."
            raise VoiceError("present", message, status=409)
        _note(person, Naming.Kind.MERGED, after=head.name, by=by, into=head)
        for one in [person, *person.merged.all()]:
            Participant.objects.filter(pk=one.pk).update(merged_into=head)
            data = {"participant": str(one.public_id), "into": str(head.public_id)}
            data["name"] = head.name
            events.append(session.pk, "participant.merged", data)
    log.info(
        "participant.merged", session=session.pk, participant=person.pk, into=head.pk
    )
    return head


def _lock(session_id: int) -> None:
    rows = VoiceSession.objects.select_for_update().filter(pk=session_id)
    rows.values_list("pk").first()


def _find(session: VoiceSession, public_id: UUID | str) -> Participant:
    people = session.participants.select_related("merged_into")
    try:
        person = people.get(public_id=public_id)
    except (Participant.DoesNotExist, ValidationError, ValueError) as e:
        message = "There is no such participant."
        raise VoiceError("not_found", message, status=404) from e
    if person.is_erased:
        message = "What was recorded of them was erased."
        raise VoiceError("erased", message, status=409)
    return person


def _note(
    person: Participant,
    kind: Naming.Kind,
    *,
    after: str,
    by: AbstractBaseUser,
    into: Participant | None = None,
) -> None:
    """Keep who gave whom which name."""
    Naming.objects.create(
        participant=person,
        kind=kind,
        before=person.name,
        after=after,
        into=into,
        user_id=by.pk,
    )


def renamed(*, since: datetime, until: datetime) -> list[tuple[int, datetime]]:
    """Sessions in which people were given names then, and when for the last time."""
    rows = Naming.objects.filter(at__gte=since, at__lte=until).order_by()
    return list(rows.values_list("participant__session").annotate(Max("at")))


def restore(session_id: int, public_id: UUID) -> Participant:
    """Somebody of whom only sound is left: found, or made without a name."""
    person, _ = Participant.objects.get_or_create(
        public_id=public_id,
        defaults={
            "session_id": session_id,
            # Not its public id, which others know: only a stream's own id is a proof.
            "key": f"restored:{public_id}",
            "name": UNKNOWN,
            "left_at": timezone.now(),
        },
    )
    return person


def known(session_id: int, key: str) -> Participant:
    """Somebody of a session, as they were left. Raises Participant.DoesNotExist."""
    return Participant.objects.get(session=session_id, key=key)


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
            key=person.key,
            name=UNKNOWN,
            language="",
            user=None,
            merged_into=None,
            consent_to="",
            consented_at=None,
        )
        # Whoever was shown under their name is shown under their own again.
        person.merged.update(merged_into=None)
        Naming.objects.filter(Q(participant=person) | Q(into=person)).delete()


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
