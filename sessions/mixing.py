"""The recording's part of the end: fragments, master, storage. All may run again.

Durable steps of `finish.STEPS`, and what a worker does meanwhile. Nothing is deleted
here before storage has what was made of it.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import structlog
from django.conf import settings
from django.utils import timezone

from sessions import (
    durable,
    events,
    hosts,
    joining,
    keys,
    participants,
    recordings,
    spool,
    tracks,
)
from sessions.audio.masterfile import write_master
from sessions.audio.mp3decode import (
    FRAME_BYTES,
    Piece,
)
from sessions.audio.mp3frames import FRAME_SAMPLES
from sessions.models import Recording, Tier, VoiceSession
from sessions.recordings import Chunk, Made
from sessions.spool import Folder
from sessions.storage import NotStoredError, StorageError, storage
from sessions.tracks import LostError, Opened, Track

log = structlog.get_logger(__name__)

MASTER = "master"
AWAY_AFTER = timedelta(minutes=10)
"""A host that has stored chunks and not made its fragments by then is away: they are
made of its chunks. Should it come back, it makes them again from its journals."""
LOST_AFTER = timedelta(hours=6)
"""A file that no host came up with for so long is called lost."""
VAIN = 3
"""So many files in a row that storage did not take, and it is away: the others wait for
its return. A file of its own trouble comes behind those that were tried less."""


def fragments(session_id: int) -> bool:
    """Make and store a fragment of every connection that this host recorded.

    False while one is still being recorded, storage does not answer, or another host
    has not stored its own: the last one to do so finds all of them.
    """
    session = VoiceSession.objects.get(pk=session_id)
    with alone(session) as is_ours:
        if not (is_ours and _fragments(session) and _store(session)):
            return False
        theirs = recordings.without_fragment(session_id)
        return all(_adopted(session, name) for name in theirs) and (
            not theirs or _store(session)
        )


def master(session_id: int) -> bool:
    """Mix and store everybody; done at once for a session without sound."""
    session = VoiceSession.objects.get(pk=session_id)
    with alone(session) as is_ours:
        before = _voices(session)
        if not (is_ours and _master(session) and _store(session)):
            return False
        if before <= _voices(session):
            return True
    # Somebody had themselves erased while another host mixed: what was made holds them.
    recordings.replace_master(session_id)
    ring(session_id)
    return False


def store(session_id: int) -> bool:
    """Store what is whole and not stored yet; False when it should be tried again."""
    session = VoiceSession.objects.get(pk=session_id)
    with alone(session) as is_ours:
        return is_ours and _store(session)


def try_again(session_id: int) -> int:
    """Take back that files were given up, where they still lie on this host; how
    many."""
    lying = [row for row in recordings.given_up(session_id) if _path(row).exists()]
    return recordings.try_again(lying)


def clear(session_id: int) -> bool:
    """Drop the spool: everything made of it is in storage and was verified. What
    nobody could read or store stays, for people to look at."""
    session = VoiceSession.objects.get(pk=session_id)
    if session.record and recordings.spooled(session_id):
        return False
    failed = recordings.failed_connections(session_id)
    made = recordings.stored_connections(session_id)
    durable.sync_rows()  # rows are what is left of a spool
    for folder in spool.folders(session.public_id):
        with folder.taken() as is_ours:
            if not is_ours:
                return False
            is_known = not session.record or folder.name in failed | made
            if not is_known and joining.has_sound(folder):
                recordings.replace_master(session_id)  # it came after the fragments
                return False
            if folder.name not in failed:
                folder.drop()
    drop_work(session)
    return True


def drop_work(session: VoiceSession) -> None:
    """Delete what was being made."""
    shutil.rmtree(_work(session), ignore_errors=True)


@contextlib.contextmanager
def alone(session: VoiceSession) -> Iterator[bool]:
    """Whether no other worker of this host is at this session's files."""
    with spool.held(_work(session) / "lock") as is_ours:
        yield is_ours


def remix(session_id: int) -> bool:
    """Make the master again, from what storage has; nothing else of it stays here."""
    if not master(session_id):
        return False
    drop_work(VoiceSession.objects.get(pk=session_id))
    return True


def ring(session_id: int) -> None:
    """Have a worker do that. Never raises; whoever asks for a master that is not there
    rings again."""
    hosts.put("sessions.tasks.remix", session_id, queue=hosts.MEDIA)


def _fragments(session: VoiceSession) -> bool:
    for folder in spool.folders(session.public_id):
        with folder.taken() as is_ours:
            if not is_ours:
                return False
            if participants.is_erased(keys.participant_of(folder.name)):
                folder.drop()
                continue
            if session.record and not joining.fragment(session, folder):
                return False
            if session.record and settings.KEEP_ORIGINALS:
                joining.original(session, folder)
    return True


def _adopted(session: VoiceSession, connection: str) -> bool:
    """Make the fragment of a connection whose chunks another host recorded; False
    while that host may still do it itself, or storage does not answer."""
    ended_at = session.ended_at or timezone.now()
    if timezone.now() - ended_at < AWAY_AFTER:
        return False
    chunks = recordings.chunks_of(session.pk, connection)
    if any(row.state == Recording.State.SPOOLED for row in chunks):
        return False  # on that host's disk: `_try_to_store` says for how long
    folder = Folder(spool.root() / str(session.public_id) / connection)
    try:
        _fetch_all(chunks, folder, _work(session) / connection)
    except StorageError as e:
        log.warning("recording.not_fetched", session=session.pk, code=e.code)
        return not e.retryable
    with folder.taken() as is_ours:
        return is_ours and joining.fragment(session, folder)


def _fetch_all(chunks: list[Recording], folder: Folder, work: Path) -> None:
    """Chunks from storage into a connection's folder: all that there are, or none."""
    work.mkdir(exist_ok=True)
    for row in chunks:
        path = Folder(work).sealed(row.start // FRAME_SAMPLES)
        if row.state == Recording.State.STORED and not path.exists():
            with contextlib.suppress(NotStoredError):  # silent, where it was
                storage().get(row.key, path)
    folder.path.parent.mkdir(parents=True, exist_ok=True)
    work.rename(folder.path)


def _store(session: VoiceSession) -> bool:
    _note_unnoted(session)
    in_vain = 0
    for row in recordings.spooled(session.pk):
        in_vain = 0 if _try_to_store(row) else in_vain + 1
        if in_vain == VAIN:
            break
    # Asked anew: another host has stored its own meanwhile.
    return not recordings.spooled(session.pk)


def _note_unnoted(session: VoiceSession) -> None:
    """Rows for sealed chunks whose recorder could not write them: the database was
    away, or the process died between the two."""
    for folder in spool.folders(session.public_id) if session.record else []:
        whose = keys.participant_of(folder.name)
        if participants.is_erased(whose):
            continue  # `fragments` drops it
        rows = recordings.chunks_of(session.pk, folder.name)
        noted = {row.start // FRAME_SAMPLES for row in rows}
        for first, path in folder.chunks():
            if whose is None or first in noted or not tracks.is_ours(Piece(path)):
                continue  # what is wrong with it, the fragment's row will tell
            person = participants.restore(session.pk, whose)
            frames = path.stat().st_size // FRAME_BYTES
            recordings.sealed(
                Chunk(session.pk, person.pk, folder.name, first, frames, path)
            )


def _try_to_store(row: Recording) -> bool:
    """Store one file; it stays spooled when it should be tried again. False when that
    is for the storage's sake."""
    path = _path(row)
    if not path.exists():
        # On another host's disk perhaps: wait for that host, but not for ever.
        waited = timezone.now() - row.created_at
        if waited > AWAY_AFTER:
            message = "The file is neither in storage nor on this host."
            recordings.failed(row, message, for_good=waited > LOST_AFTER)
        return True
    try:
        recordings.stored(row, storage().put(row.key, path, content_type=_kind(row)))
    except StorageError as e:
        log.warning("recording.not_stored", recording=row.pk, code=e.code)
        recordings.failed(row, e.message, for_good=not e.retryable)
        return not e.retryable
    except OSError as e:
        log.exception("recording.not_read", recording=row.pk)
        recordings.failed(row, f"Not readable on this host: {e}", for_good=False)
    return True


def _kind(row: Recording) -> str:
    return "audio/flac" if row.tier == Tier.ORIGINAL else "audio/mpeg"


def _path(row: Recording) -> Path:
    """Where a row's file lies on this host, if it does."""
    folder = Folder(spool.root() / str(row.session.public_id) / row.connection)
    if row.tier == Tier.CHUNK:
        return folder.sealed(row.start // FRAME_SAMPLES)
    if row.tier == Tier.FRAGMENT:
        return folder.fragment
    if row.tier == Tier.ORIGINAL:
        return folder.original
    return _work(row.session) / MASTER


def _work(session: VoiceSession) -> Path:
    path = Path(settings.DATA_DIR) / "mixing" / str(session.public_id)
    path.mkdir(parents=True, exist_ok=True)
    return path


def _master(session: VoiceSession) -> bool:
    made = recordings.of_tier(session.pk, Tier.MASTER)
    if any(row.state == Recording.State.STORED for row in made):
        return True
    everybody = tracks.of_session(session)
    if everybody:
        try:
            _mix(session, everybody)
        except tracks.NotHereError:
            return False
        except StorageError as e:
            log.warning("recording.not_fetched", session=session.pk, code=e.code)
            return not e.retryable
    return True


def _voices(session: VoiceSession) -> set[UUID]:
    return {track.participant for track in tracks.of_session(session)}


def _mix(session: VoiceSession, everybody: list[Track]) -> None:
    path = _work(session) / MASTER
    end = max(track.end for track in everybody)
    with contextlib.ExitStack() as files:
        opened = [_opened(track, end, files) for track in everybody]
        mixed = write_master(
            path,
            [one.reader for one in opened if one is not None],
            end=end,
            target_lufs=settings.LOUDNESS_LUFS,
            ceiling_dbtp=settings.LOUDNESS_DBTP,
            progress=_teller(session.pk),
        )
    recordings.note(
        Made(
            session_id=session.pk,
            tier=Tier.MASTER,
            key=keys.master_key(session.public_id),
            path=path,
            start=0,
            duration=end,
            loudness_lufs=mixed.loudness_lufs,
        )
    )


def _opened(track: Track, end: int, files: contextlib.ExitStack) -> Opened | None:
    """Somebody's sound, to be mixed: of a fragment that is lost or none, the chunks.
    None where nothing of it can be read. What cannot be read is told on its row."""
    try:
        found = files.enter_context(tracks.opened(track, start=0, stop=end))
    except LostError as e:
        _tell_unreadable(e.unreadable)
        return None
    _tell_unreadable(found.unreadable)
    return found


def _tell_unreadable(rows: tuple[int, ...]) -> None:
    for row in Recording.objects.filter(pk__in=rows):
        log.warning("recording.unreadable", recording=row.pk)
        recordings.failed(
            row, "Not mixed: it is not whole, or no MP3 of ours.", for_good=True
        )


def _teller(session_id: int) -> Callable[[float], None]:
    """Tells the log how far the master is: a quarter at a time."""
    told = -1

    def tell(share: float) -> None:
        nonlocal told
        quarter = int(share * 4)
        if quarter > told:
            told = quarter
            events.append(session_id, "progress", {"percent": quarter * 25})

    return tell
