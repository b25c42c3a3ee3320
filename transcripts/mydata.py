"""What somebody's own data is: as JSON, and with their sound in one file."""

from __future__ import annotations

import json
import tempfile
import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import structlog

from sessions import recordings
from sessions.models import Participant, Recording, Subscription, Tier, VoiceSession
from sessions.storage import NotStoredError, storage
from transcripts import forgetting, lines
from transcripts.models import Utterance, UtteranceState

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from transcripts.forgetting import Subject

log = structlog.get_logger(__name__)


def archive(user: User) -> IO[bytes]:
    """A ZIP of everything: `data.json`, and their tracks as they are kept. Lies on the
    disk, not in memory; whoever closes it deletes it. Raises StorageError."""
    subject = forgetting.of_account(user)
    file = tempfile.TemporaryFile()  # noqa: SIM115 (whoever sends it closes it)
    try:
        # Sound does not become smaller.
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as into:
            text = json.dumps(of(user, subject), ensure_ascii=False, indent=2)
            into.writestr("data.json", text)
            _put_sound(subject, into)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


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


def _put_sound(subject: Subject, into: zipfile.ZipFile) -> None:
    rows = Recording.objects.filter(
        participant__in=subject.people,
        tier=Tier.FRAGMENT,
        state=Recording.State.STORED,
    ).select_related("session")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound"
        for row in rows.order_by("pk"):
            try:
                storage().get(row.key, path)
            except NotStoredError:
                log.warning("mydata.lost", recording=row.pk)
                continue
            when = recordings.moment(row.session, row.start)
            name = f"{row.session.public_id}/{when:%Y%m%dT%H%M%S}-{row.pk}.mp3"
            into.write(path, name)
            path.unlink()


def _iso(moment: Any) -> str | None:
    return moment.isoformat() if moment else None
