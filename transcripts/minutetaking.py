"""What the minutes of a session are made of: its rows, lines and bookmarks."""

from __future__ import annotations

from collections.abc import Sequence

from sessions import bookmarks
from sessions.audio.frames import SAMPLES_PER_MS
from sessions.models import VoiceSession
from transcripts.exports import Line
from transcripts.minutes import Minutes, Note


def of_session(session: VoiceSession, lines: Sequence[Line]) -> Minutes:
    """As far as the session has come."""
    lasted_ms = max((line.end_ms for line in lines), default=0)
    if session.started_at is not None and session.ended_at is not None:
        lasted = session.ended_at - session.started_at
        lasted_ms = max(lasted_ms, round(lasted.total_seconds() * 1000))
    return Minutes(
        title=session.title,
        started_at=session.started_at,
        duration_ms=lasted_ms,
        lines=lines,
        notes=[
            Note(one.position // SAMPLES_PER_MS, one.text, one.name)
            for one in bookmarks.of_session(session)
        ],
    )
