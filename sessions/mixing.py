"""From what the spool holds to fragments and the master; all of it may run again.

Durable steps of the end (`finish.STEPS`) and their parts. A fragment is made of its
chunks, or, where one is missing or damaged, of its journal: to the same bytes. Nothing
is deleted here before storage has what was made of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog
from django.conf import settings
from django_q.tasks import async_task

from sessions import keys, recordings, spool
from sessions.audio.frames import Placed
from sessions.audio.journal import Journal, JournalError
from sessions.audio.masterfile import write_master
from sessions.audio.mp3decode import ForeignTrackError, Piece, TrackReader
from sessions.audio.mp3frames import (
    DELAY,
    FRAME_SAMPLES,
    joined,
    repaired,
    silent_frame,
)
from sessions.capture.tape import FRAME_BYTES, GAP, KBPS, Tape
from sessions.models import Participant, Recording, Tier, VoiceSession
from sessions.recordings import Made
from sessions.spool import Folder
from sessions.storage import StorageError, storage

log = structlog.get_logger(__name__)

FRAGMENT, MASTER = "fragment", "master"
MP3 = "audio/mpeg"


@dataclass(frozen=True, slots=True)
class Extent:
    """What a connection's journal says of it: positions in samples at 48 kHz."""

    start: int
    end: int
    gaps: tuple[tuple[int, int], ...]


def fragments(session_id: int) -> bool:
    """Make and store a fragment of every connection that this host recorded.

    False while one is still being recorded, or storage does not answer.
    """
    session = VoiceSession.objects.get(pk=session_id)
    for folder in spool.folders(session.public_id):
        with folder.taken() as is_ours:
            if not is_ours:
                return False
            if session.record:
                _fragment(session, folder)
    return store(session_id)


def master(session_id: int) -> bool:
    """Mix and store everybody; done at once for a session without sound."""
    session = VoiceSession.objects.get(pk=session_id)
    rows = recordings.of_tier(session_id, Tier.FRAGMENT)
    rows = [row for row in rows if row.state == Recording.State.STORED]
    made = recordings.of_tier(session_id, Tier.MASTER)
    if rows and not any(row.state == Recording.State.STORED for row in made):
        _master(session, rows)
    return store(session_id)


def ring(session_id: int) -> None:
    """Have a worker make the master again, from what storage has."""
    async_task("sessions.tasks.remix", session_id, cluster="media")


def clear(session_id: int) -> bool:
    """Drop the spool: everything made of it is in storage and was verified."""
    session = VoiceSession.objects.get(pk=session_id)
    if session.record and recordings.spooled(session_id):
        return False
    for folder in spool.folders(session.public_id):
        with folder.taken() as is_ours:
            if not is_ours:
                return False
            folder.drop()
    for path in _work(session).glob("*"):
        path.unlink(missing_ok=True)
    return True


def store(session_id: int) -> bool:
    """Store what is whole and not stored yet; False when storage should be asked again
    later."""
    for row in recordings.spooled(session_id):
        path = _path(row)
        if not path.exists():
            log.error("recording.missing", session=session_id, recording=row.pk)
            message = "The file is neither in storage nor on this host."
            recordings.failed(row, message, for_good=row.tier != Tier.CHUNK)
            continue
        try:
            recordings.stored(row, storage().put(row.key, path, content_type=MP3))
        except StorageError as e:
            log.warning("recording.not_stored", recording=row.pk, code=e.code)
            recordings.failed(row, e.message, for_good=not e.retryable)
            if e.retryable:
                return False
    return True


def _path(row: Recording) -> Path:
    """Where a row's file lies on this host, if it does."""
    folder = Folder(spool.root() / str(row.session.public_id) / row.connection)
    if row.tier == Tier.CHUNK:
        return folder.sealed(row.start // FRAME_SAMPLES)
    if row.tier == Tier.FRAGMENT:
        return folder.path / FRAGMENT
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
    first = chunks[0][0]
    data = bytearray()
    for number, path in chunks:  # on the grid: a chunk that is lost stays silent
        missing = number - first - len(data) // FRAME_BYTES
        data += silent_frame(KBPS) * missing + repaired(path.read_bytes())
    start = first * FRAME_SAMPLES
    whole = start + len(data) // FRAME_BYTES * FRAME_SAMPLES - DELAY
    end = extent.end if extent else whole
    file = joined([bytes(data)], samples=end - start)
    (folder.path / FRAGMENT).write_bytes(file)
    return Extent(start, end, extent.gaps if extent else ())


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


def _master(session: VoiceSession, rows: list[Recording]) -> None:
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
