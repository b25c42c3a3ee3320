"""Where the sound of each person lies, whatever has become of it yet, and to read it.

Of every connection: its fragment where there is one, else its chunks, sealed, stored,
or still being written on this host. Reads only; files are opened before the first
sample is read, so that they may be moved or dropped meanwhile.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import structlog
from django.conf import settings

from sessions import spool
from sessions.audio.mp3decode import (
    DELAY,
    FRAME,
    FRAME_BYTES,
    ForeignTrackError,
    Frames,
    Piece,
    TrackReader,
)
from sessions.errors import VoiceError
from sessions.models import Participant, Recording, Tier, VoiceSession
from sessions.spool import Folder
from sessions.storage import NotStoredError, storage

log = structlog.get_logger(__name__)

FETCHED_AT_ONCE = 1 << 20
APART = 48_000
"""Between two who are one person: so the files of one never reach into the other's."""
UNREADABLE = "A part of this track is not readable: it is silent here."
FROM_CHUNKS = "A part of this track comes from its raw pieces: its loudness differs."
GONE = "A part of this track is lost: it is silent here."


class NotHereError(VoiceError):
    """Its chunks lie on the disk of the host that records it, until they are stored."""

    def __init__(self) -> None:
        message = "A part of this sound is not in the storage yet. Try again later."
        super().__init__("not_here_yet", message, status=503)


class LostError(VoiceError):
    """The rows know it; neither this host nor the storage has it."""

    def __init__(self, unreadable: tuple[int, ...] = ()) -> None:
        self.unreadable = unreadable
        super().__init__("lost", "This sound is lost or not readable.", status=404)


@dataclass(frozen=True, slots=True)
class Part:
    """A file of whole frames at its place on the session's grid: one of `paths` on this
    host, the object `key` in storage, or both."""

    first_frame: int
    frames: int
    paths: tuple[Path, ...] = ()
    key: str = ""
    header_frames: int = 0
    is_lost: bool = False
    """Nobody came up with it, and it is waited for no longer."""
    row: int = 0
    """The recording it is, if it has a row."""
    instead: tuple[Part, ...] = ()
    """The same sound in other files, should this one be gone: a fragment's chunks."""


@dataclass(frozen=True, slots=True)
class Track:
    """All that is known of one person's sound. Positions in samples at 48 kHz."""

    participant: uuid.UUID
    name: str
    parts: tuple[Part, ...]
    spans: tuple[tuple[int, int], ...]
    """When they were there: the sound of each connection."""
    gaps: tuple[tuple[int, int], ...] = ()
    faults: tuple[str, ...] = ()
    shown_as: uuid.UUID | None = None
    """The participant they were merged into."""
    is_growing: bool = False
    """Not all of its connections have a fragment, and with it a loss map."""

    @property
    def start(self) -> int:
        return min(start for start, _ in self.spans)

    @property
    def end(self) -> int:
        """The position behind the last sample."""
        return max(end for _, end in self.spans)


@dataclass(frozen=True, slots=True)
class Opened:
    """A track whose files are open, and what is wrong with them."""

    reader: TrackReader
    faults: tuple[str, ...]
    unreadable: tuple[int, ...] = ()
    """The rows of files that are no sound of ours."""


def of_session(session: VoiceSession) -> list[Track]:
    """Everybody who was heard, in the order they came."""
    everybody = _connections(session)
    people = session.participants.select_related("merged_into")
    kept = [one for one in people if not one.is_erased]
    found = [_track(person, everybody[person.public_id]) for person in kept]
    return [track for track in found if track is not None]


def of_people(session: VoiceSession) -> list[Track]:
    """Every person who was heard: tracks of those who were merged are one track, unless
    they sounded at the same time. Then each of them is left alone."""
    theirs: dict[uuid.UUID, list[Track]] = defaultdict(list)
    for track in of_session(session):
        theirs[track.shown_as or track.participant].append(track)
    found: list[Track] = []
    for person, own in theirs.items():
        found += [_joined(person, own)] if _take_turns(own) else own
    return found


def _take_turns(own: list[Track]) -> bool:
    """Whether none of them sounds while another one does."""
    return not any(
        one_start < other_end + APART and other_start < one_end + APART
        for one, other in itertools.combinations(own, 2)
        for one_start, one_end in one.spans
        for other_start, other_end in other.spans
    )


def _joined(person: uuid.UUID, own: list[Track]) -> Track:
    in_turn = sorted(own, key=lambda track: track.start)
    return Track(
        participant=person,
        name=own[0].name,
        parts=tuple(part for track in in_turn for part in track.parts),
        spans=tuple(span for track in in_turn for span in track.spans),
        gaps=tuple(gap for track in in_turn for gap in track.gaps),
        faults=tuple(fault for track in in_turn for fault in track.faults),
        is_growing=any(track.is_growing for track in in_turn),
    )


@dataclass(slots=True)
class _Connection:
    folder: Folder
    fragment: Recording | None = None
    chunks: list[Recording] = field(default_factory=list)


def _connections(session: VoiceSession) -> dict[uuid.UUID, list[_Connection]]:
    """What rows and the spool know of each person's connections."""
    root = spool.root() / str(session.public_id)
    found: dict[tuple[uuid.UUID, str], _Connection] = {}

    def of(person: uuid.UUID, name: str) -> _Connection:
        return found.setdefault((person, name), _Connection(Folder(root / name)))

    rows = Recording.objects.filter(
        session=session, tier__in=[Tier.CHUNK, Tier.FRAGMENT], participant__isnull=False
    )
    for row in rows.select_related("participant").order_by("start", "pk"):
        assert row.participant is not None
        connection = of(row.participant.public_id, row.connection)
        if row.tier == Tier.CHUNK:
            connection.chunks.append(row)
        else:
            connection.fragment = row
    for folder in spool.folders(session.public_id):
        with contextlib.suppress(ValueError):  # a folder that is none of ours
            of(uuid.UUID(folder.name[:36]), folder.name)
    theirs = defaultdict(list)
    for (person, _), connection in sorted(found.items(), key=lambda item: item[0][1]):
        theirs[person].append(connection)
    return theirs


def _track(person: Participant, connections: Iterable[_Connection]) -> Track | None:
    parts: list[Part] = []
    gaps: list[tuple[int, int]] = []
    faults: list[str] = []
    spans: list[tuple[int, int]] = []
    is_growing = False
    for connection in connections:
        row = connection.fragment
        if row is not None and row.state != Recording.State.FAILED:
            parts.append(_fragment(row, connection))
            gaps += [(begin, end) for begin, end in row.gaps]
            faults += [row.error] if row.error and not row.attempts else []
            spans.append((row.start, row.end))
            continue
        is_growing = True
        faults += [row.error] if row is not None else []
        chunks = list(_chunks(connection))
        if chunks:
            parts += chunks
            first = min(part.first_frame for part in chunks)
            end = max(part.first_frame + part.frames for part in chunks)
            spans.append((first * FRAME, max(end * FRAME - DELAY, first * FRAME)))
    if not parts:
        return None
    return Track(
        participant=person.public_id,
        name=person.shown.name,
        shown_as=None if person.shown is person else person.shown.public_id,
        parts=tuple(parts),
        spans=tuple(sorted(spans)),
        gaps=tuple(sorted(gaps)),
        faults=tuple(faults),
        is_growing=is_growing,
    )


def _fragment(row: Recording, connection: _Connection) -> Part:
    first = row.start // FRAME
    chunks = [part for part in _chunks(connection) if part.key]
    return Part(
        first_frame=first,
        frames=-(-(row.end + DELAY) // FRAME) - first,
        paths=(connection.folder.path / "fragment",),
        key=_stored(row),
        header_frames=1,
        row=row.pk,
        instead=tuple(chunks),
    )


def _stored(row: Recording) -> str:
    return row.key if row.state == Recording.State.STORED else ""


def _chunks(connection: _Connection) -> Iterator[Part]:
    """In order; the open one leads, so that a sealed one that holds the same is heard
    in its place."""
    folder = connection.folder
    here = {suffix: _files(folder, suffix) for suffix in (spool.SEALED, spool.OPEN)}
    for first, path in here[spool.OPEN].items():
        # It may be sealed by the time it is opened.
        yield Part(first, _frames_in(path), paths=(path, folder.sealed(first)))
    noted = set()
    for row in connection.chunks:
        first = row.start // FRAME
        noted.add(first)
        yield Part(
            first_frame=first,
            frames=row.duration // FRAME,
            paths=(folder.sealed(first),),
            key=_stored(row),
            is_lost=row.state == Recording.State.FAILED,
            row=row.pk,
        )
    for first, path in here[spool.SEALED].items():
        if first not in noted:
            yield Part(first, _frames_in(path), paths=(path,))


def _files(folder: Folder, suffix: str) -> dict[int, Path]:
    found = sorted(folder.path.glob(f"*{suffix}"))
    return {
        int(path.stem): path
        for path in found
        if path.stem.isdecimal() and spool.is_file(path)
    }


def _frames_in(path: Path) -> int:
    try:
        return path.stat().st_size // FRAME_BYTES
    except FileNotFoundError:  # sealed, stored and dropped just now
        return 0


@contextlib.contextmanager
def opened(track: Track, *, start: int, stop: int) -> Iterator[Opened]:
    """A track, to read the samples from `start` to `stop` of, and no others.

    Of what lies in storage only so much is fetched; it takes room on the disk, not in
    memory. Blocks. Raises NotHereError, LostError and StorageError.
    """
    first, end = (start + DELAY) // FRAME - 1, -(-(stop + DELAY) // FRAME)
    wrong = _Wrong()
    with contextlib.ExitStack() as files:
        pieces = list(_pieces(track.parts, first, end, files, wrong))
        if wrong.faults and not pieces:
            raise LostError(tuple(wrong.unreadable))
        told = dict.fromkeys([*track.faults, *wrong.faults])
        yield Opened(TrackReader(pieces), tuple(told), tuple(wrong.unreadable))


@dataclass(slots=True)
class _Wrong:
    """What is found to be wrong while a track is opened."""

    faults: list[str] = field(default_factory=list)
    unreadable: list[int] = field(default_factory=list)


def _pieces(
    parts: Iterable[Part],
    first: int,
    end: int,
    files: contextlib.ExitStack,
    wrong: _Wrong,
) -> Iterator[Piece]:
    """The pieces that hold frames from `first` to `end`, open."""
    for part in parts:
        low = max(first, part.first_frame)
        high = min(end, part.first_frame + part.frames)
        if low >= high:
            continue
        piece = _piece(part, low, high, files)
        is_whole = piece is not None and is_ours(piece) and _reaches(piece, high)
        if piece is not None and is_whole:
            yield piece
            continue
        if part.row and not part.is_lost:
            wrong.unreadable.append(part.row)
        if part.instead:
            wrong.faults.append(FROM_CHUNKS)
            yield from _pieces(part.instead, first, end, files, wrong)
        else:
            wrong.faults.append(GONE if piece is None else UNREADABLE)
            if piece is not None and len(piece) and is_ours(piece):
                yield piece  # what there is of it


@dataclass(frozen=True, slots=True)
class _Held(Piece):
    """A piece whose file is open: its name may go."""

    file: BinaryIO = field(kw_only=True)

    def __len__(self) -> int:
        size = os.fstat(self.file.fileno()).st_size
        return max(0, size // FRAME_BYTES - self.header_frames)

    def read(self, first: int, count: int) -> Frames:
        at = (self.header_frames + first) * FRAME_BYTES
        data = os.pread(self.file.fileno(), count * FRAME_BYTES, at)
        return Piece(data).read(0, count)


def _piece(
    part: Part, low: int, high: int, files: contextlib.ExitStack
) -> Piece | None:
    """A part of the track, open; None when nobody has it any more."""
    for path in part.paths:
        if not spool.is_file(path):
            continue
        with contextlib.suppress(FileNotFoundError):
            file = files.enter_context(path.open("rb"))
            held, headers = part.first_frame, part.header_frames
            return _Held(b"", held, header_frames=headers, file=file)
    if part.is_lost:
        return None
    if not part.key:
        raise NotHereError
    fetched = tempfile.TemporaryFile(dir=settings.DATA_DIR)  # noqa: SIM115 (below)
    files.callback(fetched.close)
    before = part.header_frames - part.first_frame
    try:
        _fetch(part.key, fetched, first=low + before, end=high + before)
    except NotStoredError:
        log.warning("track.lost", key=part.key)
        return None
    return _Held(b"", low, file=fetched)


def _fetch(key: str, file: BinaryIO, *, first: int, end: int) -> None:
    """Frames of an object by their number in it; fewer where it ends before."""
    at, stop = first * FRAME_BYTES, end * FRAME_BYTES
    while at < stop:
        data = storage().read(key, start=at, stop=min(at + FETCHED_AT_ONCE, stop))
        if not data:
            break
        file.write(data)
        at += len(data)
    file.flush()


def _reaches(piece: Piece, end: int) -> bool:
    """Whether it holds frames up to `end`: nothing was cut off."""
    return piece.first_frame + len(piece) >= end


def is_ours(piece: Piece) -> bool:
    """Whether it is a track's MP3, as our encoder makes them."""
    try:
        TrackReader([piece])
    except ForeignTrackError:
        return False
    return True
