"""Figures: a line for each session that has ended, for the operator: why, how long it
was, how much was said, what of it is missing, and how late its text came. THE writer of
a session's figures and of the mark that its line is written.

Numbers and ids only: never a name, never a word. Several processes add to one file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db.models import Q, QuerySet, Sum
from django.utils import timezone

from sessions.audio.frames import TIMELINE_RATE
from sessions.models import Source, State, VoiceSession
from sessions.participants import OURS
from transcripts.models import Utterance, UtteranceState

log = structlog.get_logger(__name__)

NOTED_WITHIN = timedelta(minutes=5)
"""Behind a call's end: what its bot has counted and not noted by then died with it."""


def note(session_id: int, counted: Mapping[str, object]) -> None:
    """Keep what only the process behind its source knows: it stands in the line, too.
    `counted` is of JSON's types."""
    VoiceSession.objects.filter(pk=session_id).update(figures=counted)


def tell(session_id: int, *, now: datetime | None = None) -> bool:
    """Write a session's line where it is due; True for the one who does.

    Claimed first: nobody writes it twice, and whoever is killed in the same moment not
    at all.
    """
    now = now or timezone.now()
    if not _due(now).filter(pk=session_id).update(figures_told_at=now):
        return False
    write(_line(VoiceSession.objects.get(pk=session_id)))
    return True


def tell_all(*, now: datetime | None = None) -> int:
    """Of calls that never began, and of those whose bot was late or has died."""
    waiting = list(_due(now or timezone.now()).values_list("pk", flat=True))
    return sum(tell(session_id, now=now) for session_id in waiting)


def _due(now: datetime) -> QuerySet[VoiceSession]:
    """Those with an end and no line of which no more will be known."""
    over = VoiceSession.objects.filter(
        state__in=(State.READY, State.FAILED),
        ended_at__isnull=False,
        figures_told_at=None,
    )
    noted = ~Q(source=Source.DISCORD) | Q(figures__isnull=False)
    return over.filter(noted | Q(ended_at__lt=now - NOTED_WITHIN))


def _line(session: VoiceSession) -> dict[str, Any]:
    began, ended = session.started_at, session.ended_at
    assert ended is not None  # else it was not due
    people = session.participants.exclude(key=OURS)
    losses = people.aggregate(
        gaps=Sum("gaps", default=0),
        gap_ms=Sum("gap_ms", default=0),
        dropped=Sum("dropped", default=0),
    )
    return {
        "at": ended.isoformat(timespec="milliseconds"),
        "session": str(session.public_id),
        "source": session.source,
        "reason": session.end_reason or session.failure,
        "seconds": (ended - began).total_seconds() if began else 0.0,
        "record": session.record,
        "people": people.count(),
        **losses,
        **_text(session),
        **(session.figures or {}),
    }


def _text(session: VoiceSession) -> dict[str, Any]:
    """How much became text, and how long after it was said: seconds, half of them and
    95 % sooner; None where nothing was said."""
    rows = Utterance.objects.filter(session=session).exclude(participant__key=OURS)
    done = rows.filter(state=UtteranceState.DONE)
    delays: list[float] = []
    if session.started_at is not None:
        zero = session.started_at
        delays = sorted(
            (at - zero).total_seconds() - end / TIMELINE_RATE
            for at, end in done.values_list("finished_at", "end")
            if at is not None
        )
    return {
        "segments": rows.count(),
        "lines": len(delays),
        "text_delay_p50_s": _share(delays, 0.5),
        "text_delay_p95_s": _share(delays, 0.95),
    }


def _share(delays: list[float], share: float) -> float | None:
    return round(delays[int(share * (len(delays) - 1))], 3) if delays else None


def write(line: Mapping[str, object]) -> None:
    """Add a line to the file, in one write. Waits for the disk; what that refuses is
    logged."""
    try:
        _append(json.dumps(line, separators=(",", ":")).encode() + b"\n")
    except OSError as error:
        why = error.strerror or type(error).__name__
        log.warning("voice_metrics.not_written", session=line["session"], why=why)


def _append(line: bytes) -> None:
    path = Path(settings.LOGS_DIR) / "voice_metrics.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    # O_APPEND: the system finds the end and writes as one, whoever else is at it.
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
    try:
        if os.write(file, line) < len(line):
            raise OSError("only a part of the line was written")
    finally:
        os.close(file)
