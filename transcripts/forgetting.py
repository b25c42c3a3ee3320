"""Forgetting: everything of one person, across sessions, by whichever door they ask;
and the receipt of it. THE writer of `Erasure`.

The wish is a row before anything is done, and is gone on with until all of it is: what
still runs is waited for, what a storage refuses is tried again. When it is done, the
row keeps counts and a time, and nothing of whom it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet, Sum
from django.utils import timezone
from django.utils.module_loading import import_string

from sessions import bookmarks, events, optout, participants
from sessions.errors import VoiceError
from sessions.models import (
    Erasure,
    Participant,
    Recording,
    SessionEvent,
    VoiceSession,
)
from sessions.storage import StorageError
from transcripts import corrections, doorbell, erasing
from transcripts.models import Utterance

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

log = structlog.get_logger(__name__)

LEASE = timedelta(minutes=10)
TASK = "transcripts.chores.forget"
SPOKEN = ("utterance", "tone", "note")
STREAMS_MOST = 50
"""Under which one page has spoken."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is to be forgotten: as the sources name them, and their rows."""

    keys: tuple[str, ...] = ()
    people: tuple[int, ...] = ()

    @property
    def is_known(self) -> bool:
        return bool(self.keys or self.people)


class NobodyError(VoiceError):
    def __init__(self) -> None:
        super().__init__("nobody", "Nobody of that name is known.", status=404)


# --- who it is ------------------------------------------------------------------------


def of_discord(user_id: str) -> Subject:
    """Somebody by their Discord id."""
    return _subject([f"discord:{user_id}"])


def of_caller(number: str) -> Subject:
    """Somebody by the number they called from."""
    return _subject([f"phone:{number}"])


def of_account(user: AbstractBaseUser) -> Subject:
    """Somebody signed in: what they said with their account, and on Discord where the
    account is linked to it."""
    return _subject([f"account:{user.pk}", *_linked(user)])


def of_participant(public_id: UUID | str) -> Subject:
    """The person behind one participant: everywhere, where something tells who it was;
    else in that session alone. Raises NobodyError."""
    rows = Participant.objects.select_related("session").filter(public_id=public_id)
    person = rows.first()
    if person is None:
        raise NobodyError
    keys = []
    if person.key.startswith("discord:"):
        keys.append(person.key)
    if person.session.source == "phone" and person.key == "caller":
        keys += [f"phone:{person.session.user_id}"] if person.session.user_id else []
    if person.user_id:
        keys.append(f"account:{person.user_id}")
    found = _subject(keys)
    return Subject(found.keys, tuple(sorted({*found.people, person.pk})))


def people_of(subject: Subject) -> list[Participant]:
    rows = Participant.objects.filter(pk__in=subject.people)
    return list(rows.select_related("session").order_by("pk"))


def counted(subject: Subject) -> dict[str, int]:
    """What would go, by kind, in numbers."""
    said = Utterance.objects.filter(participant__in=subject.people)
    files = Recording.objects.filter(participant__in=subject.people)
    ids = Participant.objects.filter(pk__in=subject.people)
    public = [str(one) for one in ids.values_list("public_id", flat=True)]
    told = SessionEvent.objects.filter(
        session__participants__in=subject.people, data__participant__in=public
    )
    return {
        "sessions": ids.values("session").distinct().count(),
        "lines": said.count(),
        "recordings": files.count(),
        "bytes": files.aggregate(all=Sum("size"))["all"] or 0,
        "events": told.distinct().count(),
    }


def _subject(keys: Sequence[str]) -> Subject:
    chosen = Q(pk__in=[])
    for key in keys:
        kind, _, value = key.partition(":")
        if kind == "discord":
            theirs = (key, f"erased:{key}")
            chosen |= Q(key__in=theirs, session__source="discord")
        elif kind == "phone":
            named = Q(session__user_id=value, session__source="phone")
            chosen |= named & Q(key__in=("caller", "erased:caller"))
        elif kind == "account":
            chosen |= Q(user=value)
    found = Participant.objects.filter(chosen).values_list("pk", flat=True)
    return Subject(tuple(keys), tuple(found.order_by("pk")))


def _linked(user: AbstractBaseUser) -> list[str]:
    """Their ids elsewhere, where sign-in with Discord is installed."""
    links = getattr(user, "socialaccount_set", None)
    if links is None:
        return []
    ids = links.filter(provider="discord").values_list("uid", flat=True)
    return [f"discord:{one}" for one in ids]


# --- what is done ---------------------------------------------------------------------


def ask(
    subject: Subject, *, road: Erasure.Road, account_id: int | None = None
) -> Erasure:
    """From here on it is going to be done; the receipt to be. A worker is called."""
    with transaction.atomic():
        made = Erasure.objects.create(
            road=road,
            people=[{"keys": list(subject.keys), "ids": list(subject.people)}],
            account_id=account_id,
            counts=counted(subject),
            sessions_total=len(subject.people),
        )
        if road != Erasure.Road.DISCORD:  # the bot's eraser does those
            transaction.on_commit(lambda: ring(made.pk), robust=True)
    log.info("forgetting.asked", erasure=made.pk, road=road, people=len(subject.people))
    return made


def stop_and_forget(session: VoiceSession, streams: Iterable[UUID]) -> list[Erasure]:
    """Take nothing more of these streams in a session, and delete what was said over
    them: words now, sound once it is over. Streams nobody knows are passed over."""
    keys = [str(one) for one in streams][:STREAMS_MOST]
    people = Participant.objects.filter(session=session, key__in=keys).order_by("pk")
    # Of those whose rows were lost, the key once was what everybody may read.
    theirs = [person for person in people if person.key != str(person.public_id)]
    return [forget_here(person) for person in theirs]


def forget_here(
    person: Participant, *, road: Erasure.Road = Erasure.Road.BROWSER
) -> Erasure:
    """The same for one of them."""
    optout.opt_out(person.session_id, person.pk)
    made = ask(Subject((), (person.pk,)), road=road)
    _forget_said(person)
    return made


@transaction.atomic
def _forget_said(person: Participant) -> None:
    """Their words, at once; while a session runs, who they were is still needed."""
    VoiceSession.objects.select_for_update().get(pk=person.session_id)
    said = Utterance.objects.filter(participant=person)
    ids = set(said.values_list("public_id", flat=True))
    said.delete()
    events.forget_said(
        person.session_id,
        participant=person.public_id,
        utterances=ids,
        types=SPOKEN,
    )


def waiting_of(user: AbstractBaseUser) -> list[Erasure]:
    """What somebody asked for with their account and is not done."""
    rows = Erasure.objects.filter(account=user.pk, state=Erasure.State.WAITING)
    return list(rows.order_by("pk"))


def ring(erasure_id: int) -> None:
    """Have a worker go on with it; a lost ring is repeated by house-keeping."""
    doorbell.ring(TASK, erasure_id, cluster=doorbell.MEDIA)


def ring_all() -> int:
    """For every wish that is not done."""
    waiting = list(_waiting().values_list("pk", flat=True))
    for pk in waiting:
        ring(pk)
    return len(waiting)


def when_ready(session_id: int) -> None:
    """A session is over: somebody may have waited for that."""
    ring_all()


def go_on(erasure_id: int, *, now: datetime | None = None) -> bool:
    """Do what can be done now; whether all of it is. Raises StorageError and OSError
    when all that can be is done."""
    now = now or timezone.now()
    free = Q(leased_until=None) | Q(leased_until__lt=now)
    mine = _waiting().filter(free, pk=erasure_id)
    if not mine.update(leased_until=now + LEASE):
        return False  # done, or somebody is at it
    try:
        return _go_on(Erasure.objects.get(pk=erasure_id))
    finally:
        Erasure.objects.filter(pk=erasure_id).update(leased_until=None)


def _waiting() -> QuerySet[Erasure]:
    rows = Erasure.objects.filter(state=Erasure.State.WAITING)
    return rows.exclude(road=Erasure.Road.DISCORD).order_by("pk")


def _go_on(wish: Erasure) -> bool:
    subject = subject_of(wish)
    people, errors = people_of(subject), []
    left = {person.pk for person in people}  # whose session is gone is done
    _keep(wish, subject, left)
    for person in people:
        try:
            if _erase(person):
                left.remove(person.pk)
                _keep(wish, subject, left)
        except (StorageError, OSError) as e:
            why = getattr(e, "code", type(e).__name__)
            log.warning("forgetting.refused", session=person.session_id, why=why)
            errors.append(e)
    if errors:
        raise errors[0]
    elsewhere = all(
        import_string(path)(subject.keys, before=wish.asked_at)
        for path in settings.SUBJECT_FORGETTERS
    )
    if left or not elsewhere:
        return False
    conclude(wish)
    return True


def _keep(wish: Erasure, subject: Subject, left: set[int]) -> None:
    """Who is still to be done: nobody is done twice, for the others' mix is made anew
    each time."""
    Erasure.objects.filter(pk=wish.pk).update(
        people=[{"keys": list(subject.keys), "ids": sorted(left)}],
        sessions_done=wish.sessions_total - len(left),
    )


def subject_of(wish: Erasure) -> Subject:
    """Whom it is about; nobody, when it is done."""
    for one in wish.people:
        return Subject(tuple(one["keys"]), tuple(one["ids"]))
    return Subject()


def conclude(wish: Erasure, *, now: datetime | None = None) -> None:
    """It is done: whose it was is forgotten here, too."""
    Erasure.objects.filter(pk=wish.pk, state=Erasure.State.WAITING).update(
        state=Erasure.State.DONE,
        people=[],
        account=None,
        sessions_done=wish.sessions_total,
        done_at=now or timezone.now(),
    )
    log.info("forgetting.done", erasure=wish.pk)


def forget_account(keys: Sequence[str], *, before: datetime) -> bool:
    """What somebody noted while they were signed in, and their name on what they
    corrected; the corrections stay."""
    for key in keys:
        kind, _, value = key.partition(":")
        if kind == "account":
            bookmarks.forget_account(int(value), before=before)
            corrections.forget_author(int(value), before=before)
    return True


def _erase(person: Participant) -> bool:
    if not erasing.erase(person):
        return False
    for path in settings.PERSON_FORGETTERS:
        import_string(path)(person)
    participants.forget(person)
    return True


def receipt(wish: Erasure) -> str:
    """The receipt as text: what, how much, when; nobody's name."""
    counts = "\n".join(f"{kind}: {count}" for kind, count in wish.counts.items())
    state = f"{wish.done_at:%Y-%m-%d %H:%M} UTC" if wish.done_at else "not yet"
    return (
        "Receipt: everything of one person was to be deleted\n\n"
        f"number: {wish.public_id}\n"
        f"asked for: {wish.asked_at:%Y-%m-%d %H:%M} UTC\n"
        f"done: {state}\n\n{counts}\n\n"
        "Counted when it was asked for. Mixes they were heard in are made anew\n"
        "without them. This receipt holds no name; keep its number to ask about it.\n"
    )
