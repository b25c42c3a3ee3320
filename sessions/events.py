"""The event log: append and replay. Every fact a screen shows is one numbered row.

Following it live is `feed`'s work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import F

from sessions import bell
from sessions.models import SessionEvent, VoiceSession


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


def newest(session_id: int, type_: str) -> int:
    """The number of the newest event of a type; 0 when there is none."""
    rows = SessionEvent.objects.filter(session_id=session_id, type=type_)
    return rows.order_by("-seq").values_list("seq", flat=True).first() or 0


def replay(session_id: int, *, after: int, limit: int = 500) -> list[Event]:
    """Stored events with a number above `after`, oldest first."""
    rows = SessionEvent.objects.filter(session_id=session_id, seq__gt=after)
    values = rows.order_by("seq").values_list("seq", "type", "data")[:limit]
    return [Event(seq, type_, data) for seq, type_, data in values]
