"""From what the spool holds to fragments and the master; all of it may run again.

Durable steps of the end (`finish.STEPS`) and their parts. A fragment is made of its
chunks, or, where one is missing or damaged, of its journal: to the same bytes. Nothing
is deleted here before storage has what was made of it.
"""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import structlog
from django.conf import settings
from django.utils import timezone
from django_q.tasks import async_task

from sessions import keys, recordings, spool
from sessions.audio.frames import Placed
from sessions.audio.journal import Journal, JournalError
from sessions.audio.masterfile import write_master
from sessions.audio.mp3decode import ForeignTrackError, Piece, TrackReader
from sessions.audio.mp3frames import (
    DELAY,
    FRAME_SAMPLES,
    frames_for,
    info_frame,
    repaired,
    silent_frame,
)
from sessions.audio.mp3gain import normalised
from sessions.audio.original import write_flac
from sessions.capture.tape import FRAME_BYTES, GAP, KBPS, Tape
from sessions.models import Participant, Recording, Tier, VoiceSession
from sessions.recordings import Made
from sessions.spool import Folder
from sessions.storage import StorageError, storage

log = structlog.get_logger(__name__)

ORIGINAL, FRAGMENT, MASTER = "original", "fragment", "master"
LOST_AFTER = timedelta(hours=6)
"""A file that no host came up with for so long is called lost."""


@dataclass(frozen=True, slots=True)
class Extent:
    """What a connection's journal says of it: positions in samples at 48 kHz."""

    start: int
    end: int
    gaps: tuple[tuple[int, int], ...] = ()
    fault: str = ""


def fragments(session_id: int) -> bool:
    """Make and store a fragment of every connection that this host recorded.

    False while one is still being recorded, or storage does not answer.
    """
    session = VoiceSession.objects.get(pk=session_id)
    with _alone(session) as is_ours:
        return is_ours and _fragments(session) and _store(session)


def master(session_id: int) -> bool:
    """Mix and store everybody; done at once for a session without sound."""
    session = VoiceSession.objects.get(pk=session_id)
    with _alone(session) as is_ours:
        return is_ours and _master(session) and _store(session)


def store(session_id: int) -> bool:
    """Store what is whole and not stored yet; False when it should be tried again."""
    session = VoiceSession.objects.get(pk=session_id)
    with _alone(session) as is_ours:
        return is_ours and _store(session)


def clear(session_id: int) -> bool:
    """Drop the spool: everything made of it is in storage and was verified. What
    nobody could read or store stays, for people to look at."""
    session = VoiceSession.objects.get(pk=session_id)
    if session.record and recordings.spooled(session_id):
        return False
    failed = recordings.failed_connections(session_id)
    for folder in spool.folders(session.public_id):
        with folder.taken() as is_ours:
            if not is_ours:
                return False
            if folder.name not in failed:
                folder.drop()
    drop_work(session)
    return True


def drop_work(session: VoiceSession) -> None:
    """Delete what was being made."""
    shutil.rmtree(_work(session), ignore_errors=True)


def ring(session_id: int) -> None:
    """Have a worker make the master again, from what storage has."""
    async_task("sessions.tasks.remix", session_id, cluster="media")


@contextmanager
def _alone(session: VoiceSession) -> Iterator[bool]:
    """Whether no other worker of this host is at this session's files."""
    with spool.held(_work(session) / "lock") as is_ours:
        yield is_ours


def _fragments(session: VoiceSession) -> bool:
    for folder in spool.folders(session.public_id):
        with folder.taken() as is_ours:
            if not is_ours:
                return False
            if session.record:
                _fragment(session, folder)
            if session.record and settings.KEEP_ORIGINALS:
                _original(session, folder)
    return True


def _store(session: VoiceSession) -> bool:
    stored = [_is_stored(row) for row in recordings.spooled(session.pk)]
    return all(stored)  # each is tried, whatever became of the others


def _is_stored(row: Recording) -> bool:
    """Store one file; False when it should be tried again."""
    path = _path(row)
    if not path.exists():
        # On another host's disk perhaps: wait for that host, but not for ever.
        is_lost = timezone.now() - row.created_at > LOST_AFTER
        message = "The file is neither in storage nor on this host."
        recordings.failed(row, message, for_good=is_lost)
        return is_lost
    try:
        recordings.stored(row, storage().put(row.key, path, content_type=_kind(row)))
    except StorageError as e:
        log.warning("recording.not_stored", recording=row.pk, code=e.code)
        recordings.failed(row, e.message, for_good=not e.retryable)
        return not e.retryable
    return True


def _kind(row: Recording) -> str:
    return "audio/flac" if row.tier == Tier.ORIGINAL else "audio/mpeg"


def _path(row: Recording) -> Path:
    """Where a row's file lies on this host, if it does."""
    folder = Folder(spool.root() / str(row.session.public_id) / row.connection)
    if row.tier == Tier.CHUNK:
        return folder.sealed(row.start // FRAME_SAMPLES)
    if row.tier == Tier.FRAGMENT:
        return folder.path / FRAGMENT
    if row.tier == Tier.ORIGINAL:
        return folder.path / ORIGINAL
    return _work(row.session) / MASTER


def _work(session: VoiceSession) -> Path:
    path = Path(settings.DATA_DIR) / "mixing" / str(session.public_id)
    path.mkdir(parents=True, exist_ok=True)
    return path


def _fragment(session: VoiceSession, folder: Folder) -> None:
    key = f"{keys.session_prefix(session.public_id)}full/FULL-{folder.name}.mp3"
    whose = keys.parse(key)
    if whose is None or whose.participant is None:
        return  # a folder that is none of ours
    if Recording.objects.filter(key=key, state="stored").exists():
        return
    person = Participant.objects.filter(public_id=whose.participant).first()
    try:
        made = _joined(session, folder)
    except (JournalError, ForeignTrackError, OSError, ValueError) as e:
        # A file nobody can read: told on its row, and the rest of the session goes on.
        log.exception("recording.unreadable", session=session.pk)
        row = recordings.unreadable(session.pk, person, key=key, connection=folder.name)
        recordings.failed(row, f"Not readable: {e}", for_good=True)
        return
    if made is None:  # a connection without a sound
        return
    recordings.note(
        Made(
            session_id=session.pk,
            tier=Tier.FRAGMENT,
            key=key,
            path=folder.path / FRAGMENT,
            start=made.start,
            duration=made.end - made.start,
            participant_id=person.pk if person else None,
            connection=folder.name,
            gaps=made.gaps,
            error=made.fault,
        )
    )


def _original(session: VoiceSession, folder: Folder) -> None:
    """What arrived, lossless; nothing where the journal cannot be read."""
    key = f"{keys.session_prefix(session.public_id)}original/{folder.name}.flac"
    whose = keys.parse(key)
    extent = _extent(folder)
    if whose is None or whose.participant is None or extent is None:
        return
    if Recording.objects.filter(key=key).exists():
        return
    with folder.journal.open("rb") as file:
        journal = Journal(file)
        path = folder.path / ORIGINAL
        write_flac(path, journal.placed(), rate=journal.head.rate)
    person = Participant.objects.filter(public_id=whose.participant).first()
    recordings.note(
        Made(
            session_id=session.pk,
            tier=Tier.ORIGINAL,
            key=key,
            path=path,
            start=extent.start,
            duration=extent.end - extent.start,
            participant_id=person.pk if person else None,
            connection=folder.name,
            gaps=extent.gaps,
        )
    )


def _joined(session: VoiceSession, folder: Folder) -> Extent | None:
    """Join a connection's chunks into its fragment; None if it has no sound."""
    extent = _extent(folder)
    if extent is not None and not _is_complete(folder, extent):
        _make_again(folder)
    chunks = folder.chunks()
    if not chunks:
        return None
    first, last = chunks[0][0], chunks[-1]
    frames = last[0] - first + last[1].stat().st_size // FRAME_BYTES
    start = first * FRAME_SAMPLES
    end = extent.end if extent else start + max(frames * FRAME_SAMPLES - DELAY, 0)
    pieces = [piece for chunk in chunks if len(piece := _piece(*chunk))]
    if not pieces:
        raise JournalError("neither the journal nor a chunk is what it should be")
    _write_fragment(folder.path / FRAGMENT, pieces, start=start, end=end)
    if extent is None:
        return Extent(start, end, fault="Made of its chunks: the journal is damaged.")
    return Extent(start, end, extent.gaps)


def _piece(first_frame: int, path: Path) -> Piece:
    """A chunk; what is damaged in it is silent, and the rest in its place."""
    data = path.read_bytes()
    good = repaired(data)
    return Piece(path if good == data else good, first_frame)


def _write_fragment(path: Path, pieces: list[Piece], *, start: int, end: int) -> None:
    """One file from `start` to `end`, at the loudness that is wanted."""
    frames = frames_for(end - start)
    track = TrackReader(pieces)
    with path.open("wb") as file:
        file.write(info_frame(frames, bitrate_kbps=KBPS, samples=end - start))
        file.write(silent_frame(KBPS) * (track.first_frame - start // FRAME_SAMPLES))
        for part in normalised(
            track,
            target_lufs=settings.LOUDNESS_LUFS,
            ceiling_dbtp=settings.LOUDNESS_DBTP,
        ):
            file.write(part)
        missing = frames + 1 - file.tell() // FRAME_BYTES
        file.write(silent_frame(KBPS) * max(missing, 0))
        file.truncate((frames + 1) * FRAME_BYTES)
        file.flush()
        os.fsync(file.fileno())


def _extent(folder: Folder) -> Extent | None:
    """What the journal says; None for a connection without sound, or a journal."""
    start: int | None = None
    end = 0
    gaps: list[tuple[int, int]] = []
    for placed in _journal(folder):
        if start is None:
            start = placed.position
        elif placed.position - end > GAP:
            gaps.append((end, placed.position))
        end = placed.end
    return None if start is None else Extent(start, end, tuple(gaps))


def _journal(folder: Folder) -> Iterator[Placed]:
    if not folder.journal.exists():
        return
    with folder.journal.open("rb") as file:
        try:
            yield from Journal(file).placed()
        except JournalError:
            # The chunks are all there is: better than nothing.
            log.exception("recording.journal_unreadable", folder=folder.name)


def _is_complete(folder: Folder, extent: Extent) -> bool:
    """Whether the sealed chunks are in a row, and reach to the sound's end."""
    frame = extent.start // FRAME_SAMPLES
    for first, path in folder.chunks():
        if first != frame:
            return False
        frame += path.stat().st_size // FRAME_BYTES
    return frame * FRAME_SAMPLES >= extent.end


def _make_again(folder: Folder) -> None:
    """Make all chunks from the journal: the ones that were whole become the same."""
    tape = Tape(folder, chunk_s=settings.RECORDING_CHUNK_S)
    for placed in _journal(folder):
        tape.put(placed)
    tape.finish()
    log.info("recording.made_again", folder=folder.name)


def _master(session: VoiceSession) -> bool:
    made = recordings.of_tier(session.pk, Tier.MASTER)
    rows = recordings.of_tier(session.pk, Tier.FRAGMENT)
    rows = [row for row in rows if row.state == Recording.State.STORED]
    if rows and not any(row.state == Recording.State.STORED for row in made):
        try:
            _mix(session, rows)
        except StorageError as e:
            log.warning("recording.not_fetched", session=session.pk, code=e.code)
            return not e.retryable
    return True


def _mix(session: VoiceSession, rows: list[Recording]) -> None:
    pieces: dict[int | None, list[Piece]] = defaultdict(list)
    for row in rows:
        path = _fetched(session, row)
        piece = Piece(path, row.start // FRAME_SAMPLES, header_frames=1)
        pieces[row.participant_id].append(piece)
    path = _work(session) / MASTER
    end = max(row.end for row in rows)
    mixed = write_master(
        path,
        [TrackReader(theirs) for theirs in pieces.values()],
        end=end,
        target_lufs=settings.LOUDNESS_LUFS,
        ceiling_dbtp=settings.LOUDNESS_DBTP,
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


def _fetched(session: VoiceSession, row: Recording) -> Path:
    """A fragment's file: in the spool if it lies there, else from storage."""
    if (near := _path(row)).exists():
        return near
    path = _work(session) / f"{row.pk}"
    if not path.exists():
        storage().get(row.key, path)
    return path
