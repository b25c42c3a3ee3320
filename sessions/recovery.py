"""Recovery: finds what a crash left on this host, and carries it to its end.

The ordinary end does most of it: a session whose processes died is ended by the reaper,
and its fragments are made from the journals. What is left for here: sound that came to
light after the end, and sound whose session the database no longer knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

import structlog

from sessions import finish, hosts, lifecycle, mixing, participants, recordings, spool
from sessions.audio.journal import Head, Journal, JournalError
from sessions.models import Deleted, Recording, State, Tier, VoiceSession
from sessions.spool import Folder

log = structlog.get_logger(__name__)

TASK = "sessions.tasks.recover"
WOULD_BE = "would be recovered"


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was found of one session, and what became of it."""

    public_id: str
    found: str
    done: str


def recover(public_id: UUID | None = None, *, dry_run: bool = False) -> list[Recovered]:
    """Carry everything in the spool of this host to its end, as far as it goes now."""
    return [
        Recovered(
            name, f"{len(folders)} connections", _done(name, folders, dry_run=dry_run)
        )
        for name, folders in _by_session(public_id)
    ]


def _done(name: str, folders: list[Folder], *, dry_run: bool) -> str:
    if not _is_uuid(name):
        return "no session's folder: left"
    if any(_is_open(folder) for folder in folders):
        return "still records: left"
    return WOULD_BE if dry_run else _recovered(name, folders)


def left_behind() -> list[int]:
    """Sessions that have their end behind them, and sound in this host's spool."""
    lying = {name: folders for name, folders in _by_session(None) if _is_uuid(name)}
    ended = VoiceSession.objects.filter(
        public_id__in=list(lying), state__in=(State.READY, State.FAILED)
    )
    return [
        session.pk
        for session in ended
        if {folder.name for folder in lying[str(session.public_id)]}
        - recordings.failed_connections(session.pk)
    ]


def ring() -> list[int]:
    """Have a worker recover what was left behind, and carry sessions whose rows were
    lost to their end; returns the sessions."""
    found = left_behind()
    for session_id in found:
        hosts.ring_here(TASK, session_id)
    unknown = [session.pk for session in _restored_all()]
    for session_id in unknown:
        finish.ring(session_id)
    return found + unknown


def ring_for(session_id: int) -> None:
    """Have a worker of each host carry one session's sound there to its end."""
    hosts.ring(TASK, session_id)


def _restored_all() -> Iterator[VoiceSession]:
    """Sessions again of which this host has sound, and the database nothing: a power
    cut took their rows."""
    lying = {name: folders for name, folders in _by_session(None) if _is_uuid(name)}
    known = VoiceSession.objects.filter(public_id__in=list(lying))
    for public_id in known.values_list("public_id", flat=True):
        del lying[str(public_id)]
    deleted = Deleted.objects.filter(public_id__in=list(lying))
    gone = {str(one) for one in deleted.values_list("public_id", flat=True)}
    for name, folders in lying.items():
        if any(map(_is_open, folders)):
            continue
        if name in gone:
            _dropped(folders)
        elif session := _restored(name, folders):
            yield session


def _by_session(public_id: UUID | None) -> Iterator[tuple[str, list[Folder]]]:
    paths = [spool.root() / str(public_id)] if public_id else _session_paths()
    for path in paths:
        if folders := spool.folders(path.name):
            yield path.name, folders


def _session_paths() -> list[Path]:
    paths = sorted(spool.root().glob("*"))
    return [path for path in paths if path.is_dir() and not path.is_symlink()]


def _is_uuid(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


def _is_open(folder: Folder) -> bool:
    with folder.taken() as is_ours:
        return not is_ours


def _recovered(public_id: str, folders: list[Folder]) -> str:
    session = VoiceSession.objects.filter(public_id=public_id).first()
    if session is None and Deleted.objects.filter(public_id=public_id).exists():
        return _dropped(folders)
    if session is None:
        session = _restored(public_id, folders)
    if session is None:
        return "no journal that can be read: left"
    is_over = session.sound_deleted_at is not None  # it was kept for its time
    if session.state == State.DELETED or not session.record or is_over:
        return _dropped(folders)
    if session.state == State.FAILED:
        lifecycle.advance(session.pk, State.FINISHING, reason="recovered")
        session.refresh_from_db()
    if session.state == State.FINISHING:
        return "ready" if finish.complete(session.pk) else "waiting"
    if session.state == State.READY:
        return "ready, mixed anew" if _added(session.pk) else "waiting"
    return f"{session.state}: left to its end"


def _dropped(folders: list[Folder]) -> str:
    for folder in folders:
        folder.drop()
    return "nothing of it may be kept: dropped"


def _restored(public_id: str, folders: list[Folder]) -> VoiceSession | None:
    """The session and its people again, as far as the journals know them."""
    heads = [head for folder in folders if (head := _head(folder)) is not None]
    times = [
        datetime.fromisoformat(h.started_at) for h in heads if h.session == public_id
    ]
    if not times:
        return None
    session = lifecycle.restore(UUID(public_id), started_at=times[0])
    for folder in folders:
        if _is_uuid(folder.name[:36]):
            participants.restore(session.pk, UUID(folder.name[:36]))
    return session


def _head(folder: Folder) -> Head | None:
    if not spool.is_file(folder.journal):
        return None
    try:
        with folder.journal.open("rb") as file:
            return Journal(file).head
    except (JournalError, OSError):
        log.warning("recovery.unreadable", folder=folder.name, exc_info=True)
        return None


def _added(session_id: int) -> bool:
    """Add what came to light to a session that was ready, and mix it anew."""
    before = _fragments(session_id)
    if not mixing.fragments(session_id):
        return False
    if _fragments(session_id) == before:
        return mixing.master(session_id) and mixing.clear(session_id)
    recordings.replace_master(session_id)
    return finish.run_steps(session_id)


def _fragments(session_id: int) -> set[int]:
    rows = Recording.objects.filter(session_id=session_id, tier=Tier.FRAGMENT)
    return set(rows.values_list("pk", flat=True))
