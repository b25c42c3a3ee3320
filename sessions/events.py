"""The event log: append and replay. Every fact a screen shows is one numbered row.

Following it live is `feed`'s work.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from sessions import bell
from sessions.models import SessionEvent, VoiceSession

NOTE, ERASED = "note", "erased"
"""Types of events: a mark in time that somebody set; and that older ones were deleted,
all those of one person."""


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
    ids = {str(one) for one in utterances}
    notices = rows.filter(type="notice").values_list("pk", "data")
    theirs = [pk for pk, data in notices if data.get("id") in ids]
    gone += rows.filter(pk__in=theirs).delete()[0]
    if gone:
        append(session_id, ERASED, {})
    return gone


def forget_notes(author: str, *, before: datetime) -> int:
    """Delete what somebody noted in any session until a moment; how many events."""
    notes = SessionEvent.objects.filter(type=NOTE, data__author=author)
    return notes.filter(created_at__lte=before).delete()[0]


def replay(session_id: int, *, after: int, limit: int = 500) -> list[Event]:
    """Stored events with a number above `after`, oldest first."""
    rows = SessionEvent.objects.filter(session_id=session_id, seq__gt=after)
    values = rows.order_by("seq").values_list("seq", "type", "data")[:limit]
    return [Event(seq, type_, data) for seq, type_, data in values]
