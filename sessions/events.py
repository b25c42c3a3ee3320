"""The event log: append and replay. Every fact a screen shows is one numbered row.

Following it live is `feed`'s work.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from sessions import bell
from sessions.models import SessionEvent, VoiceSession

NOTE, NOTE_GONE, ERASED, UTTERANCE = "note", "note.gone", "erased", "utterance"
"""Types of events: a mark in time that somebody set, or set anew; that it was taken
away; that older ones were deleted or rewritten; and a line."""


@dataclass(frozen=True, slots=True)
class Event:
    """A stored event (`seq` ≥ 1), or a passing one that nobody stores (`seq` 0)."""

    seq: int
    type: str
    data: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        head: dict[str, Any] = {"seq": self.seq} if self.seq else {}
        return head | {"type": self.type} | self.data


def append(session_id: int, type_: str, data: dict[str, Any]) -> int:
    """Add an event and return its number; joins the caller's transaction if any.

    The UPDATE locks the session's row until commit, so numbers become visible in their
    own order and a reader that has seen n will never find n-1 later.
    """
    with transaction.atomic():
        row = VoiceSession.objects.filter(pk=session_id)
        row.update(last_seq=F("last_seq") + 1)
        seq = row.values_list("last_seq", flat=True).get()
        SessionEvent.objects.create(
            session_id=session_id, seq=seq, type=type_, data=data
        )
        transaction.on_commit(lambda: bell.ring(session_id), robust=True)
    return seq


def age_s(session_id: int, seq: int) -> float:
    """How long ago an event was; 0 for one that is gone."""
    rows = SessionEvent.objects.filter(session_id=session_id, seq=seq)
    at = rows.values_list("created_at", flat=True).first()
    return max((timezone.now() - at).total_seconds(), 0.0) if at else 0.0


def newest(session_id: int, type_: str) -> int:
    """The number of the newest event of a type; 0 when there is none."""
    rows = SessionEvent.objects.filter(session_id=session_id, type=type_)
    return rows.order_by("-seq").values_list("seq", flat=True).first() or 0


def forget(session_id: int, *, participant: UUID, utterances: Collection[UUID]) -> int:
    """Delete what a session's log tells of one person, and of their utterances; how
    many events. Joins the caller's transaction.

    A new event says so: whoever has a part of the log in memory reads it anew.
    """
    rows = SessionEvent.objects.filter(session=session_id)
    gone, _ = rows.filter(data__participant=str(participant)).delete()
    gone += rows.filter(data__into=str(participant)).delete()[0]
    gone += _forget_notices(session_id, utterances)
    if gone:
        append(session_id, ERASED, {})
    return gone


def forget_note(session_id: int, bookmark: UUID) -> None:
    """Delete what the log tells of one note, and tell that it is gone. Joins the
    caller's transaction."""
    rows = SessionEvent.objects.filter(session=session_id, type=NOTE)
    rows.filter(data__id=str(bookmark)).delete()
    append(session_id, NOTE_GONE, {"id": str(bookmark)})


def rewrite(session_id: int, *, lines: Mapping[str, dict[str, Any] | None]) -> None:
    """Put other words into the log's lines, by their id; None: there are none any more.
    Joins the caller's transaction. A line the log does not have yet is appended.

    A new event says so, as in `forget`.
    """
    rows = SessionEvent.objects.filter(session=session_id, type=UTTERANCE)
    told, gone, changed = set(), [], []
    for row in rows.iterator(500):
        line = str(row.data.get("id"))
        if line not in lines:
            continue
        told.add(line)
        if (data := lines[line]) is None:
            gone.append(row.pk)
        else:
            row.data = data
            changed.append(row)
    SessionEvent.objects.bulk_update(changed, ["data"], batch_size=200)
    for first in range(0, len(gone), 500):
        rows.filter(pk__in=gone[first : first + 500]).delete()
    for line, data in lines.items():
        if data is not None and line not in told:
            append(session_id, UTTERANCE, data)
    append(session_id, ERASED, {})


def _forget_notices(session_id: int, utterances: Collection[UUID]) -> int:
    """Those that tell of an utterance."""
    ids = {str(one) for one in utterances}
    rows = SessionEvent.objects.filter(session=session_id, type="notice")
    found = rows.values_list("pk", "data")
    theirs = [pk for pk, data in found if data.get("id") in ids]
    return rows.filter(pk__in=theirs).delete()[0]


def forget_said(
    session_id: int,
    *,
    participant: UUID,
    utterances: Collection[UUID],
    types: Collection[str],
) -> int:
    """Delete what somebody said from a log that still grows; who they are stays. Joins
    the caller's transaction."""
    rows = SessionEvent.objects.filter(session=session_id)
    said = rows.filter(type__in=types, data__participant=str(participant))
    gone = said.delete()[0] + _forget_notices(session_id, utterances)
    if gone:
        append(session_id, ERASED, {})
    return gone


def forget_types(session_id: int, types: Collection[str]) -> int:
    """Delete all events of some types, whoever they tell of; how many."""
    return SessionEvent.objects.filter(session=session_id, type__in=types).delete()[0]


def forget_notes(author: str, *, before: datetime) -> int:
    """Delete what somebody noted in any session until a moment; how many events."""
    notes = SessionEvent.objects.filter(type=NOTE, data__author=author)
    return notes.filter(created_at__lte=before).delete()[0]


def replay(session_id: int, *, after: int, limit: int = 500) -> list[Event]:
    """Stored events with a number above `after`, oldest first."""
    rows = SessionEvent.objects.filter(session_id=session_id, seq__gt=after)
    values = rows.order_by("seq").values_list("seq", "type", "data")[:limit]
    return [Event(seq, type_, data) for seq, type_, data in values]
