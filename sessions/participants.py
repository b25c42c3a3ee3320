"""THE writer of participants: who joined, who left, where their stream goes on."""

from __future__ import annotations

import unicodedata

import structlog
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from sessions import events
from sessions.errors import SessionEndedError
from sessions.models import Participant, VoiceSession

log = structlog.get_logger(__name__)

NAME_MAX = 80


def clean_name(raw: str) -> str:
    """A name fit for a screen: no control characters, no line breaks, 80 at most."""
    visible = "".join(
        " " if unicodedata.category(c) in {"Zs", "Zl", "Zp", "Cc"} else c
        for c in unicodedata.normalize("NFC", raw)
        if unicodedata.category(c) not in {"Cf", "Cs", "Co", "Cn"}
    )
    return " ".join(visible.split())[:NAME_MAX].strip()


def join(session_id: int, *, key: str, name: str) -> Participant:
    """A connection of the person `key` opens: made on the first, found after that.

    Raises SessionEndedError when the session takes no more sound.
    """
    with transaction.atomic():
        # Locks the row: nobody joins between the stop and the last one leaving.
        session = VoiceSession.objects.select_for_update().get(pk=session_id)
        if not session.is_open:
            raise SessionEndedError
        name = clean_name(name) or f"Guest {session.participants.count() + 1}"
        person, _ = Participant.objects.get_or_create(
            session=session, key=key, defaults={"name": name}
        )
        Participant.objects.filter(pk=person.pk).update(
            connections=F("connections") + 1, left_at=None
        )
        if person.connections == 0:
            _tell(person, present=True)
    log.info("participant.joined", session=session_id, participant=person.pk)
    return person


def leave(
    participant_id: int, *, stream_origin: int | None = None, stream_samples: int = 0
) -> None:
    """One connection closed; the last one takes the person off the list.

    `stream_origin` and `stream_samples` are where a broken stream can go on.
    """
    with transaction.atomic():
        row = Participant.objects.select_for_update().filter(pk=participant_id)
        person = row.first()
        if person is None or person.connections == 0:
            return
        changes: dict[str, object] = {"connections": person.connections - 1}
        if stream_origin is not None:
            changes |= {
                "stream_origin": stream_origin,
                "stream_samples": stream_samples,
            }
        if person.connections == 1:
            changes["left_at"] = timezone.now()
            _tell(person, present=False)
        row.update(**changes)
    log.info("participant.left", session=person.session_id, participant=participant_id)


def leave_all(session_id: int) -> int:
    """Take off the list whoever a dead process left on it; returns how many."""
    with transaction.atomic():
        # The session's lock first, as `join` takes it.
        VoiceSession.objects.select_for_update().get(pk=session_id)
        stale = list(Participant.objects.filter(session=session_id, connections__gt=0))
        Participant.objects.filter(pk__in=[p.pk for p in stale]).update(
            connections=0, left_at=timezone.now()
        )
        for person in stale:
            _tell(person, present=False)
    return len(stale)


def connected(session_id: int) -> int:
    """How many people have an open connection, in whatever process."""
    return Participant.objects.filter(session=session_id, connections__gt=0).count()


def _tell(person: Participant, *, present: bool) -> None:
    data = {
        "participant": str(person.public_id),
        "name": person.name,
        "present": present,
    }
    events.append(person.session_id, "participant", data)
