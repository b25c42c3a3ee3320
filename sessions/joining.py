"""Joining: from what one connection left in the spool to its fragment.

Made of its chunks, or, where one is missing or damaged, of its journal: to the same
bytes. Writes into the connection's own folder, which the caller has taken.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import structlog
from django.conf import settings
from django.utils import timezone

from sessions import keys, participants, recordings
from sessions.audio.frames import TIMELINE_RATE, Placed
from sessions.audio.granules import Granules
from sessions.audio.journal import Journal, JournalError
from sessions.audio.meter import Metered
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
from sessions.capture.tape import FRAME_BYTES, KBPS, Sealed, Tape
from sessions.models import Participant, Recording, Tier, VoiceSession
from sessions.recordings import Chunk, Made
from sessions.spool import Folder, is_file
from sessions.storage.errors import FULL

log = structlog.get_logger(__name__)

NOTHING = "neither the journal nor a chunk is what it should be"
GAP = 40 * TIMELINE_RATE // 1000
"""What is missing for longer than this stands on the loss map."""
LATER = timedelta(days=1)
"""A connection may outlast its session by moments, clocks may differ by minutes."""


@dataclass(frozen=True, slots=True)
class Extent:
    """What a connection's journal says of it: positions in samples at 48 kHz."""

    start: int
    end: int
    gaps: tuple[tuple[int, int], ...] = ()
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Joined:
    """A fragment that is whole: its extent, how loud it is, and what was metered."""

    extent: Extent
    loudness_lufs: float | None
    metered: Metered | None


def fragment(session: VoiceSession, folder: Folder) -> bool:
    """Make a connection's fragment; False when the disk is full: try again."""
    key = f"{keys.session_prefix(session.public_id)}full/FULL-{folder.name}.mp3"
    whose = keys.participant_of(folder.name)
    if whose is None:
        return True  # a folder that is none of ours
    stored = Recording.objects.filter(key=key, state=Recording.State.STORED).first()
    if stored is not None:
        if not stored.error or _read_extent(folder) is None:
            return True
        recordings.forget([stored])  # made without this journal, which is whole
    person = participants.restore(session.pk, whose)
    try:
        folder.set_aside()
        made = _joined(session, person, folder)
    except (JournalError, ForeignTrackError, OSError, ValueError) as e:
        if isinstance(e, OSError) and e.errno in FULL:
            log.warning("recording.disk_full", session=session.pk)
            return False
        # A file nobody can read: told on its row, and the rest of the session goes on.
        log.exception("recording.unreadable", session=session.pk)
        row = recordings.unreadable(session.pk, person, key=key, connection=folder.name)
        recordings.failed(row, f"Not readable: {e}", for_good=True)
        return True
    if made is None:  # a connection without a sound
        return True
    recordings.note(
        Made(
            session_id=session.pk,
            tier=Tier.FRAGMENT,
            key=key,
            path=folder.fragment,
            start=made.extent.start,
            duration=made.extent.end - made.extent.start,
            participant_id=person.pk,
            connection=folder.name,
            gaps=made.extent.gaps,
            loudness_lufs=made.loudness_lufs,
            metered=made.metered,
            error=made.extent.fault,
        )
    )
    return True


def has_sound(folder: Folder) -> bool:
    """Whether there is anything in it to make a fragment of, readable or not."""
    if keys.participant_of(folder.name) is None:
        return False  # none of ours
    if folder.chunks():
        return True
    try:
        return next(_journal(folder), None) is not None
    except (JournalError, OSError):
        return True


def original(session: VoiceSession, folder: Folder) -> None:
    """What arrived, lossless; nothing where the journal cannot be read. Raises
    OSError."""
    key = f"{keys.session_prefix(session.public_id)}original/{folder.name}.flac"
    whose = keys.participant_of(folder.name)
    if whose is None:
        return
    if Recording.objects.filter(key=key, state=Recording.State.STORED).exists():
        return
    measure = Measure()
    try:
        with folder.journal.open("rb") as file:
            journal = Journal(file)
            sound = measure.of(journal.placed())
            write_flac(folder.original, sound, rate=journal.head.rate)
    except (FileNotFoundError, ValueError):
        return  # there is none, or it is none, or without sound
    with folder.original.open("rb") as file:
        os.fsync(file.fileno())
    extent = measure.extent
    assert extent is not None
    person = participants.restore(session.pk, whose)
    recordings.note(
        Made(
            session_id=session.pk,
            tier=Tier.ORIGINAL,
            key=key,
            path=folder.original,
            start=extent.start,
            duration=extent.end - extent.start,
            participant_id=person.pk,
            connection=folder.name,
            gaps=extent.gaps,
        )
    )


def _joined(
    session: VoiceSession, person: Participant, folder: Folder
) -> Joined | None:
    """Join a connection's chunks into its fragment; None if it has no sound."""
    try:
        extent = _extent(folder)
        fault = ""
    except (JournalError, OSError):
        # The chunks are all there is: better than nothing.
        log.exception("recording.journal_unreadable", folder=folder.name)
        extent, fault = None, "Made of its chunks: the journal is damaged."
    chunks = folder.chunks()
    metered = recordings.metered(session.pk, folder.name)
    if extent is not None:
        _refuse_endless(session, extent)
        if not (_is_complete(chunks, extent) and _are_metered(chunks, metered)):
            chunks = _noted(session, person, folder, _made_again(folder))
            metered = recordings.metered(session.pk, folder.name)
    if not chunks:
        if fault:
            raise JournalError(NOTHING)
        return None
    first, last = chunks[0][0], chunks[-1]
    frames = last[0] - first + last[1].stat().st_size // FRAME_BYTES
    start = first * FRAME_SAMPLES
    end = extent.end if extent else start + max(frames * FRAME_SAMPLES - DELAY, 0)
    pieces = [piece for chunk in chunks if len(piece := _piece(*chunk))]
    if not pieces:
        raise JournalError(NOTHING)
    known = _granules(folder, chunks)
    loudness = _write_fragment(
        folder.fragment, pieces, known=known, start=start, end=end
    )
    return Joined(
        Extent(start, end, extent.gaps if extent else (), fault),
        loudness,
        Metered.joined(metered) if metered else None,
    )


def _refuse_endless(session: VoiceSession, extent: Extent) -> None:
    """Sound cannot stand where its session was over long since: hours of silence would
    be made up to there."""
    assert session.started_at is not None
    lasted = (session.ended_at or timezone.now()) - session.started_at
    if extent.end > (lasted + LATER).total_seconds() * TIMELINE_RATE:
        raise JournalError("it holds sound from long after the session's end")


def _piece(first_frame: int, path: Path) -> Piece:
    """A chunk; what is damaged in it is silent, and the rest in its place."""
    data = path.read_bytes()
    good = repaired(data)
    return Piece(path if good == data else good, first_frame)


def _granules(folder: Folder, chunks: list[tuple[int, Path]]) -> Granules | None:
    """What was measured of the chunks while they were recorded; None where a part of it
    is missing: another host recorded it, or the power was cut."""
    found = []
    for first, _ in chunks:
        path = folder.granules(first)
        try:
            found.append(Granules.of(path.read_bytes() if is_file(path) else b""))
        except (OSError, ValueError):
            return None
    return Granules.joined(found)


def _write_fragment(
    path: Path, pieces: list[Piece], *, known: Granules | None, start: int, end: int
) -> float | None:
    """One file from `start` to `end`, at the loudness that is wanted, or as near as its
    peaks let it; the loudness it has, in LUFS."""
    frames = frames_for(end - start)
    track = TrackReader(pieces)
    parts = normalised(
        track,
        known=known,
        target_lufs=settings.LOUDNESS_LUFS,
        ceiling_dbtp=settings.LOUDNESS_DBTP,
    )
    with path.open("wb") as file:
        file.write(info_frame(frames, bitrate_kbps=KBPS, samples=end - start))
        file.write(silent_frame(KBPS) * (track.first_frame - start // FRAME_SAMPLES))
        loudness = _poured(parts, file)
        missing = frames + 1 - file.tell() // FRAME_BYTES
        file.write(silent_frame(KBPS) * max(missing, 0))
        file.truncate((frames + 1) * FRAME_BYTES)
        file.flush()
        os.fsync(file.fileno())
    return loudness


def _poured(parts: Iterator[bytes], file: BinaryIO) -> float | None:
    """Write all parts; what their maker says of them in the end: how loud they are."""
    while True:
        try:
            file.write(next(parts))
        except StopIteration as end:
            loudness: float | None = end.value
            return loudness


class Measure:
    """Looks at sound that goes by: where it begins, ends, and what is missing."""

    def __init__(self) -> None:
        self._start: int | None = None
        self._end = 0
        self._gaps: list[tuple[int, int]] = []

    def of(self, sound: Iterable[Placed]) -> Iterator[Placed]:
        for placed in sound:
            if self._start is None:
                self._start = placed.position
            elif placed.position - self._end > GAP:
                self._gaps.append((self._end, placed.position))
            self._end = placed.end
            yield placed

    @property
    def extent(self) -> Extent | None:
        """None while there was no sound."""
        if self._start is None:
            return None
        return Extent(self._start, self._end, tuple(self._gaps))


def _extent(folder: Folder) -> Extent | None:
    """What the journal says; None for a connection without sound, or without journal
    and chunks. Raises JournalError, OSError."""
    measure = Measure()
    for _ in measure.of(_journal(folder)):
        pass
    return measure.extent


def _read_extent(folder: Folder) -> Extent | None:
    try:
        return _extent(folder)
    except (JournalError, OSError):
        return None


def _journal(folder: Folder) -> Iterator[Placed]:
    if not is_file(folder.journal):
        if any(folder.path.iterdir()):
            raise JournalError("There is no journal.")
        return  # its process died before it had written anything
    with folder.journal.open("rb") as file:
        yield from Journal(file).placed()


def _is_complete(chunks: list[tuple[int, Path]], extent: Extent) -> bool:
    """Whether the sealed chunks are in a row and whole, and reach to the sound's
    end."""
    frame = extent.start // FRAME_SAMPLES
    for first, path in chunks:
        data = path.read_bytes()
        if first != frame or repaired(data) != data:
            return False
        frame += len(data) // FRAME_BYTES
    return frame * FRAME_SAMPLES >= extent.end


def _are_metered(chunks: list[tuple[int, Path]], metered: dict[int, Metered]) -> bool:
    return all(first * FRAME_SAMPLES in metered for first, _ in chunks)


def _noted(
    session: VoiceSession, person: Participant, folder: Folder, made: list[Sealed]
) -> list[tuple[int, Path]]:
    """The chunks, each with its row and its waveform."""
    for one in made:
        whole = one.first_frame, one.frames, one.path, one.metered
        recordings.note_chunk(Chunk(session.pk, person.pk, folder.name, *whole))
    return [(one.first_frame, one.path) for one in made]


def _made_again(folder: Folder) -> list[Sealed]:
    """All chunks, from the journal: the ones that were whole become the same."""
    tape = Tape(folder, chunk_s=settings.RECORDING_CHUNK_S)
    sealed = [chunk for placed in _journal(folder) for chunk in tape.put(placed)]
    sealed += tape.finish()
    log.info("recording.made_again", folder=folder.name)
    return sealed
