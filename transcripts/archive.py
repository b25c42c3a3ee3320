"""The transcript beside the master: as text, and as lines of JSON, in storage. It is
stored again some time after people have corrected it or given speakers names."""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from sessions import keys, participants, recordings
from sessions.models import Recording, State, Tier, VoiceSession
from sessions.recordings import Made
from sessions.storage import StorageError, storage
from transcripts import corrections, doorbell, exports, utterances

log = structlog.get_logger(__name__)

SUFFIXES: tuple[keys.Transcript, ...] = ("txt", "jsonl")
REST = timedelta(seconds=10)
"""A change waits so long: whoever corrects a line corrects more of them."""
TRIES = 5
"""Whoever changes more while it is stored is stored at the next ring."""
REACH = timedelta(days=7)
"""A storage that is away for longer gets what is changed after it."""


def store(session_id: int) -> bool:
    """Store what was said; a durable step of the end. False when storage is away."""
    session = VoiceSession.objects.get(pk=session_id)
    if not session.record:
        return True
    try:
        return _store_all(session)
    except StorageError as e:
        log.warning("transcript.not_stored", session=session_id, code=e.code)
        return not e.retryable


def again(session_id: int, _options: dict[str, Any] | None = None) -> bool:
    """Store what changed since: people's corrections, and words that came late. False
    while storage is away."""
    try:
        return store(session_id)
    except VoiceSession.DoesNotExist:  # deleted meanwhile
        return True


def stale(*, now: datetime) -> set[int]:
    """Sessions whose transcript in storage is older than what people made of it.

    Also one stored within REST of a change: it may have been read before.
    """
    since, until = now - REACH, now - REST
    newest: dict[int, datetime] = {}
    for found in (corrections.changed, participants.renamed):
        for session_id, at in found(since=since, until=until):
            newest[session_id] = max(at, newest.get(session_id, at))
    rows = Recording.objects.filter(
        session__in=newest, session__state=State.READY, tier=Tier.TRANSCRIPT
    )
    known = rows.order_by().values_list("session", "stored_at")
    return {pk for pk, at in known if at is not None and at < newest[pk] + REST}


def ring(*, now: datetime) -> int:
    """Call a worker for each of these, unless bells are still unheard; how many."""
    found = stale(now=now)
    if found and doorbell.waiting(doorbell.MEDIA) != 0:
        return 0
    return sum(
        doorbell.ring(doorbell.ARCHIVE, session_id, cluster=doorbell.MEDIA)
        for session_id in sorted(found)
    )


def _store_all(session: VoiceSession) -> bool:
    """Store what stands in the tables, until it stands there still when it is stored:
    words may be erased or expire meanwhile, and must not outlive that here."""
    lines = utterances.of_session(session.pk)
    for _ in range(TRIES):
        for suffix in SUFFIXES if lines else ():
            _store(session, suffix, exports.FORMATS[suffix].write(lines))
        before, lines = lines, utterances.of_session(session.pk)
        if not lines:  # none were said, or none are left
            rows = Recording.objects.filter(session=session, tier=Tier.TRANSCRIPT)
            recordings.forget(list(rows))
        if lines == before:
            return True
    return False


def _store(session: VoiceSession, suffix: keys.Transcript, text: str) -> None:
    kind = exports.FORMATS[suffix].content_type
    key = keys.transcript_key(session.public_id, suffix=suffix)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"transcript.{suffix}"
        path.write_text(text, encoding="utf-8")
        # In place of an older one: text is corrected, sound never is.
        found = storage().replace(key, path, content_type=kind)
        made = Made(session.pk, Tier.TRANSCRIPT, key, path, start=0, duration=0)
        recordings.stored(recordings.note(made), found)
