"""The transcript beside the master: as text, and as lines of JSON, in storage."""

from __future__ import annotations

import tempfile
from pathlib import Path

import structlog

from sessions import keys, recordings
from sessions.models import Tier, VoiceSession
from sessions.recordings import Made
from sessions.storage import StorageError, storage
from transcripts import exports, utterances

log = structlog.get_logger(__name__)

SUFFIXES: tuple[keys.Transcript, ...] = ("txt", "jsonl")


def store(session_id: int) -> bool:
    """Store what was said; a durable step of the end. False when storage is away."""
    session = VoiceSession.objects.get(pk=session_id)
    if not session.record:
        return True
    lines = utterances.of_session(session_id)
    if not lines:
        return True
    try:
        for suffix in SUFFIXES:
            _store(session, suffix, exports.FORMATS[suffix].write(lines))
    except StorageError as e:
        log.warning("transcript.not_stored", session=session_id, code=e.code)
        return not e.retryable
    return True


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
