"""Joining: from what one connection left in the spool to its fragment.

Made of its chunks, or, where one is missing or damaged, of its journal: to the same
bytes. Writes into the connection's own folder, which the caller has taken.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog
from django.conf import settings

from sessions import keys, participants, recordings
from sessions.audio.frames import Placed
from sessions.audio.journal import Journal, JournalError
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
from sessions.models import Recording, Tier, VoiceSession
from sessions.recordings import Made
from sessions.spool import Folder

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Extent:
    """What a connection's journal says of it: positions in samples at 48 kHz."""

    start: int
    end: int
    gaps: tuple[tuple[int, int], ...] = ()
    fault: str = ""


def fragment(session: VoiceSession, folder: Folder) -> None:
    key = f"{keys.session_prefix(session.public_id)}full/FULL-{folder.name}.mp3"
    whose = keys.parse(key)
    if whose is None or whose.participant is None:
        return  # a folder that is none of ours
    stored = Recording.objects.filter(key=key, state=Recording.State.STORED).first()
    if stored is not None:
        if not stored.error or _extent(folder) is None:
            return
        recordings.forget([stored])  # made without this journal, which is whole
    person = participants.restore(session.pk, whose.participant)
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
            path=folder.fragment,
            start=made.start,
            duration=made.end - made.start,
            participant_id=person.pk,
            connection=folder.name,
            gaps=made.gaps,
            error=made.fault,
        )
    )


def original(session: VoiceSession, folder: Folder) -> None:
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
        path = folder.original
        write_flac(path, journal.placed(), rate=journal.head.rate)
    person = participants.restore(session.pk, whose.participant)
    recordings.note(
        Made(
            session_id=session.pk,
            tier=Tier.ORIGINAL,
            key=key,
            path=path,
            start=extent.start,
            duration=extent.end - extent.start,
            participant_id=person.pk,
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
    _write_fragment(folder.fragment, pieces, start=start, end=end)
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
