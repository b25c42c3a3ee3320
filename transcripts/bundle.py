"""Transcripts of many sessions as one ZIP, made while it is sent: one session at a time
is in memory."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence

from sessions.archive import Outbox, safe_name, unique
from sessions.models import VoiceSession
from transcripts import exports, utterances


def zipped(session_ids: Sequence[int], suffix: str) -> Iterator[bytes]:
    """The archive's bytes, in pieces: a file for each session, by its day and title."""
    rows = VoiceSession.objects.filter(pk__in=session_ids).order_by("created_at", "pk")
    found = list(rows)
    files = unique(_name(session) for session in found)
    write = exports.FORMATS[suffix].write
    extension = "txt" if suffix == "labels" else suffix
    out = Outbox()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, session in zip(files, found, strict=True):
            text = write(utterances.of_session(session.pk))
            archive.writestr(f"{name}.{extension}", text)
            yield out.taken()
    yield out.taken()


def _name(session: VoiceSession) -> str:
    day = (session.started_at or session.created_at).strftime("%Y-%m-%d %H%M")
    return safe_name(f"{day} {session.title or session.source}")
