"""What somebody's own data is: as JSON, and with their sound in one file, which is made
while it is sent."""

from __future__ import annotations

import json
import threading
import zipfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from sessions import recordings
from sessions.archive import Outbox
from sessions.errors import VoiceError
from sessions.models import Participant, Recording, Subscription, Tier, VoiceSession
from sessions.storage import NotStoredError, storage
from transcripts import forgetting, lines
from transcripts.models import Utterance, UtteranceState

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from transcripts.forgetting import Subject

log = structlog.get_logger(__name__)

PIECE = 1 << 18
_at_it: set[int] = set()
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Sound:
    """A track of theirs as it is kept, and its name in the archive."""

    key: str
    name: str


@dataclass(frozen=True, slots=True)
class Own:
    """All that is somebody's: what the database has, as text, and where their sound
    lies."""

    user_id: int
    text: str
    sounds: tuple[Sound, ...]


class AtItError(VoiceError):
    """The same archive is being made for them."""

    def __init__(self) -> None:
        message = "Your data is being downloaded already: wait until that is done."
        super().__init__("already", message, status=409)


def collected(user: User) -> Own:
    subject = forgetting.of_account(user)
    text = json.dumps(of(user, subject), ensure_ascii=False, indent=2)
    return Own(user.pk, text, tuple(_sounds(subject)))


def zipped(own: Own) -> Generator[bytes, None, None]:
    """A ZIP of it, in pieces: `data.json`, and their tracks. Reads the storage; one at
    a time for each person and process. Raises AtItError and StorageError."""
    out = Outbox()
    # Sound does not become smaller.
    with _alone(own.user_id), zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as into:
        into.writestr("data.json", own.text)
        yield out.taken()
        for sound in own.sounds:
            try:
                piece = storage().read(sound.key, start=0, stop=PIECE)
            except NotStoredError:
                log.warning("mydata.lost", key=sound.key)
                continue
            with into.open(sound.name, "w", force_zip64=True) as file:
                at = 0
                while piece:
                    file.write(piece)
                    yield out.taken()
                    at += len(piece)
                    piece = storage().read(sound.key, start=at, stop=at + PIECE)
    yield out.taken()


@contextmanager
def _alone(user_id: int) -> Iterator[None]:
    with _lock:
        if user_id in _at_it:
            raise AtItError
        _at_it.add(user_id)
    try:
        yield
    finally:
        _at_it.discard(user_id)


def of(user: User, subject: Subject) -> dict[str, Any]:
    """All that the database has of theirs."""
    people = forgetting.people_of(subject)
    said = _lines_of(people)
    owned = VoiceSession.objects.filter(owner=user).order_by("pk")
    followed = Subscription.objects.filter(user=user).select_related("session")
    return {
        "account": {
            "name": user.get_username(),
            "email": user.email,
            "since": user.date_joined.isoformat(),
        },
        "sessions_of_mine": [_session(one) for one in owned],
        "reports_by_mail": [
            {"session": str(one.session.public_id), "on": one.is_on} for one in followed
        ],
        "spoken_in": [_participation(one, said.get(one.pk, [])) for one in people],
    }


def _session(session: VoiceSession) -> dict[str, Any]:
    return {
        "id": str(session.public_id),
        "title": session.title,
        "source": session.source,
        "started_at": _iso(session.started_at),
        "ended_at": _iso(session.ended_at),
    }


def _participation(person: Participant, said: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "session": _session(person.session),
        "name": person.name,
        "known_as": person.key,
        "joined_at": _iso(person.joined_at),
        "left_at": _iso(person.left_at),
        "agreed_at": _iso(person.consented_at),
        "agreed_to": person.consent_to,
        "not_recorded_since": _iso(person.opted_out_at),
        "lines": said,
    }


def _lines_of(people: list[Participant]) -> dict[int, list[dict[str, Any]]]:
    """Everybody's in one query."""
    rows = Utterance.objects.filter(participant__in=people, state=UtteranceState.DONE)
    found: dict[int, list[dict[str, Any]]] = {}
    for row in rows.select_related("participant").defer("audio").order_by("start"):
        told = found.setdefault(row.participant_id, [])
        told.append(lines.line(row).to_json())
    return found


def _sounds(subject: Subject) -> Iterator[Sound]:
    rows = Recording.objects.filter(
        participant__in=subject.people,
        tier=Tier.FRAGMENT,
        state=Recording.State.STORED,
    ).select_related("session")
    for row in rows.order_by("pk"):
        when = recordings.moment(row.session, row.start)
        name = f"{row.session.public_id}/{when:%Y%m%dT%H%M%S}-{row.pk}.mp3"
        yield Sound(row.key, name)


def _iso(moment: Any) -> str | None:
    return moment.isoformat() if moment else None
