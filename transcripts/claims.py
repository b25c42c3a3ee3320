"""Claiming: which utterance is next, and taking it so that nobody else does.

Oldest first, and fair between speakers: while there is a backlog, everybody's first
turn goes before anybody's second, and a turn already served counts.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import F, Q, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from sessions.audio.frames import SAMPLES_PER_MS
from transcripts.models import Utterance, UtteranceState

# How many rows before the oldest waiting one may still belong to its busy time.
_REACH = 500


@dataclass(frozen=True, slots=True)
class Claim:
    """All a worker needs for one utterance. Positions: samples at 48 kHz."""

    utterance_id: int
    public_id: UUID
    token: str
    attempt: int
    session_id: int
    participant_id: int
    participant_public_id: UUID
    name: str
    start: int
    end: int
    audio_start: int
    audio: bytes
    # The installation's, else the session's, else the speaker's; empty: detect it.
    language: str

    @property
    def ids(self) -> dict[str, int]:
        """What stands on each line of the log about it."""
        return {"session": self.session_id, "track": self.participant_id}

    @property
    def start_ms(self) -> int:
        return self.start // SAMPLES_PER_MS

    @property
    def end_ms(self) -> int:
        return self.end // SAMPLES_PER_MS

    @property
    def audio_start_ms(self) -> int:
        return self.audio_start // SAMPLES_PER_MS


def claim(worker: str, *, now: datetime | None = None) -> Claim | None:
    """Take the next waiting utterance for `worker`; None when none is left.

    The attempt is counted before the work: a row that kills its worker is counted too.
    """
    while candidates := _in_turn(now or timezone.now()):
        for utterance_id in candidates:
            taken = _take(utterance_id, worker=worker, now=now or timezone.now())
            if taken is not None:
                return taken
    return None


def _in_turn(now: datetime) -> list[int]:
    """The waiting rows in the order they are due."""
    due = Q(lease_until=None) | Q(lease_until__lte=now)
    waiting = Utterance.objects.filter(due, state=UtteranceState.PENDING)
    oldest = waiting.order_by("pk").values_list("pk", "created_at").first()
    if oldest is None:
        return []
    # All rows of this busy time: a turn served since the oldest came counts as well.
    rows = Utterance.objects.filter(
        Q(state__in=[UtteranceState.PENDING, UtteranceState.CLAIMED])
        | Q(finished_at__gte=oldest[1]),
        pk__gt=oldest[0] - _REACH,
    )
    turn = Window(RowNumber(), partition_by=F("participant_id"), order_by=F("pk").asc())
    ranked = rows.annotate(turn=turn).order_by("turn", "pk")
    found = ranked.values_list("pk", "state", "lease_until")
    return [
        pk
        for pk, state, rests_until in found
        if state == UtteranceState.PENDING
        and (rests_until is None or rests_until <= now)
    ]


def _take(utterance_id: int, *, worker: str, now: datetime) -> Claim | None:
    token = f"{worker}:{secrets.token_hex(4)}"
    waiting = Utterance.objects.filter(pk=utterance_id, state=UtteranceState.PENDING)
    won = waiting.update(
        state=UtteranceState.CLAIMED,
        claimed_by=token,
        lease_until=now + timedelta(seconds=settings.STT_LEASE_S),
        attempts=F("attempts") + 1,
    )
    return _read(utterance_id, token) if won == 1 else None


def _read(utterance_id: int, token: str) -> Claim | None:
    row = (
        Utterance.objects.select_related("session", "participant")
        .filter(pk=utterance_id, claimed_by=token)
        .first()
    )
    if row is None:  # its session was deleted meanwhile
        return None
    person = row.participant
    return Claim(
        utterance_id=row.pk,
        public_id=row.public_id,
        token=token,
        attempt=row.attempts,
        session_id=row.session_id,
        participant_id=person.pk,
        participant_public_id=person.public_id,
        name=person.name,
        start=row.start,
        end=row.end,
        audio_start=row.audio_start,
        audio=bytes(row.audio or b""),
        language=settings.STT_LANGUAGE or row.session.language or person.language,
    )
