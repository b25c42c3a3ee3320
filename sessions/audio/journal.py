"""The journal: what one connection received, as it arrived, and where it was placed.

An append-only file of records. It is the lossless truth of a recording: everything else
(chunks, fragments, masters) can be made from it again, bit for bit. Pure: bytes in,
bytes out; who writes them to which disk is the recorder's matter.

    record = MARK kind:u8 number:u32 size:u32 at:i64 count:u32 payload[size] crc32:u32

all little-endian. Sound that is nothing but zeros is kept by its size: a browser sends
it while nobody talks. A torn last record is what a crash leaves, and is dropped; behind
a damaged one, reading goes on at the next that is whole. Whatever the file holds, it is
read in bounded memory and in time that grows with its length.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import BinaryIO

import numpy as np

from sessions.audio.frames import PCM_RATES, TIMELINE_RATE, Frame, Placed

MARK = b"\xf5J"
_FIELDS = struct.Struct("<BIIqI")
_HEAD = len(MARK) + _FIELDS.size
_CRC = struct.Struct("<I")
LARGEST = 1 << 17
"""No payload is larger: a frame is 64 KiB at most. What says otherwise is damage."""
BLOCK = 1 << 20
"""Bytes read at once."""
VAIN = 1 << 24
"""So many bytes are checked in vain for damage's sake, and 16 for each byte of the
file; then search goes on in steps, so that no file made for it takes for ever."""
HELD_MAX = 1 << 26
"""Bytes of sound that wait for their place: 11 minutes of 48 kHz. A clock holds two
seconds; what waits longer has lost its place to damage."""
HELD_COST = 256
"""What a waiting record costs besides its sound."""
FARTHEST = 7 * 24 * 3600 * TIMELINE_RATE
"""No session is longer than a week. A place behind that is damage."""
PCM = "pcm_s16le"

HEAD, SOUND, ZEROS, PLACED, END = b"HSZPE"
_ZEROS = bytes(LARGEST)
_SIZE = struct.Struct("<I")


class JournalError(ValueError):
    """The file is no journal: it does not begin as one."""


@dataclass(frozen=True, slots=True)
class Head:
    """Whose sound it is. `session` and `participant` are public ids; `started_at` is
    the session's time zero and `opened_at` the connection's beginning (ISO, UTC)."""

    session: str
    participant: str
    session_pk: int
    participant_pk: int
    rate: int
    started_at: str
    opened_at: str
    codec: str = PCM


@dataclass(frozen=True, slots=True)
class Record:
    """One record. `at` and `count` mean what the kind says; `number` is the frame's."""

    kind: int
    number: int
    at: int
    count: int
    payload: bytes


def head(whose: Head) -> bytes:
    """The first record of every journal."""
    return _record(HEAD, payload=json.dumps(asdict(whose)).encode())


def sound(number: int, frame: Frame) -> bytes:
    """A frame as it arrived: arrival in samples at 48 kHz, and what was skipped.
    Frames are numbered from 0, in the order they arrive."""
    at, pcm = round(frame.arrival_s * TIMELINE_RATE), frame.pcm.tobytes()
    kind = SOUND
    if _ZEROS.startswith(pcm):
        kind, pcm = ZEROS, _SIZE.pack(len(pcm))
    return _record(kind, number, at=at, count=frame.skipped, payload=pcm)


def placed(number: int, position: int, *, dropped: int) -> bytes:
    """Frame `number` stands at `position`, without its first `dropped` samples (drift,
    taken out)."""
    return _record(PLACED, number, at=position, count=dropped)


def end() -> bytes:
    """It is over, and whoever heard it has written down what they heard."""
    return _record(END)


def is_concluded(file: BinaryIO) -> bool:
    """Whether that is the last it says; the file can be sought in."""
    last = end()
    if file.seek(0, os.SEEK_END) < len(last):
        return False
    file.seek(-len(last), os.SEEK_END)
    return file.read() == last


def _record(
    kind: int, number: int = 0, *, at: int = 0, count: int = 0, payload: bytes = b""
) -> bytes:
    data = MARK + _FIELDS.pack(kind, number, len(payload), at, count) + payload
    return data + _CRC.pack(zlib.crc32(data))


def records(file: BinaryIO) -> Iterator[Record]:
    """Every whole record, zeros as the sound they are; what is torn or damaged in
    between is passed over."""
    data, at, passed, vain = file.read(BLOCK), 0, 0, 0
    while True:
        if len(data) - at < _HEAD + LARGEST + _CRC.size and (more := file.read(BLOCK)):
            data, at, passed = data[at:] + more, 0, passed + at
        if (at := data.find(MARK, at)) < 0:
            at = max(len(data) - 1, 0)  # perhaps a mark's first half
            if not (more := file.read(BLOCK)):
                return
            data, at, passed = data[at:] + more, 0, passed + at
            continue
        found = _record_at(data, at)
        if isinstance(found, Record):
            yield _unrolled(found)
            at += _HEAD + len(found.payload) + _CRC.size
            continue
        vain += found
        at += 1 if vain <= VAIN + 16 * (passed + at) else 1 + found // 16


def _record_at(data: bytes, at: int) -> Record | int:
    """The record that begins here; if none does, how many bytes were checked for it."""
    if at + _HEAD + _CRC.size > len(data):
        return 0
    kind, number, size, when, count = _FIELDS.unpack_from(data, at + len(MARK))
    behind = at + _HEAD + size
    if size > LARGEST or behind + _CRC.size > len(data):
        return 0
    if _CRC.unpack_from(data, behind)[0] != zlib.crc32(data[at:behind]):
        return _HEAD + int(size)
    return Record(kind, number, when, count, data[at + _HEAD : behind])


def _unrolled(record: Record) -> Record:
    if record.kind != ZEROS or len(record.payload) != _SIZE.size:
        return record
    size = min(_SIZE.unpack(record.payload)[0], LARGEST)
    return replace(record, kind=SOUND, payload=_ZEROS[:size])


class Journal:
    """A journal that was written, read back. Raises JournalError if it is none."""

    def __init__(self, file: BinaryIO) -> None:
        self._records = records(file)
        first = next(self._records, None)
        if first is None or first.kind != HEAD:
            raise JournalError("This file does not begin as a journal.")
        self.head = _head(first.payload)
        self._behind: int | None = None  # the position behind what was placed last

    def placed(self) -> Iterator[Placed]:
        """All sound at its place, in order. What was received and never placed, because
        the process died, stands behind what came before it. Read once."""
        waiting = _Waiting()
        for record in self._records:
            if record.kind == SOUND:
                yield from self._unplaced(waiting.put(record))
            elif record.kind == PLACED and record.number in waiting:
                yield from self._unplaced(waiting.before(record.number))
                yield self._at_its_place(waiting.pop(record.number), record)
        yield from self._unplaced(waiting.rest())

    def _at_its_place(self, heard: Record, record: Record) -> Placed:
        """What would stand on sound that is there already (damage took what was said
        of that) loses its beginning."""
        scale = TIMELINE_RATE // self.head.rate
        overlap = -(-max((self._behind or 0) - record.at, 0) // scale)
        if overlap > len(heard.payload) // 2 or not 0 <= record.at <= FARTHEST:
            return self._piece(heard, self._next_place(heard), dropped=0)
        at = record.at + overlap * scale
        return self._piece(heard, at, dropped=record.count + overlap)

    def _unplaced(self, records: Iterable[Record]) -> Iterator[Placed]:
        for record in records:
            if record.payload:
                yield self._piece(record, self._next_place(record), dropped=0)

    def _next_place(self, record: Record) -> int:
        """Behind what came before; by its arrival in the stream's first while."""
        scale = TIMELINE_RATE // self.head.rate
        behind = self._behind
        if behind is None:
            behind = max(record.at - len(record.payload) // 2 * scale, 0)
        skipped = behind + record.count * scale
        return skipped if skipped <= FARTHEST else min(behind, FARTHEST)

    def _piece(self, record: Record, position: int, *, dropped: int) -> Placed:
        whole = record.payload[: len(record.payload) // 2 * 2]
        pcm = np.frombuffer(whole, "<i2")[dropped:]
        piece = Placed(position, pcm, self.head.rate)
        self._behind = piece.end
        return piece


class _Waiting:
    """Sound without its place yet, in the order it came, as far as HELD_MAX goes."""

    def __init__(self) -> None:
        self._records: dict[int, Record] = {}
        self._cost = 0

    def __contains__(self, number: int) -> bool:
        return number in self._records

    def put(self, record: Record) -> list[Record]:
        """Let it wait; those that have waited too long."""
        late = [self.pop(record.number)] if record.number in self else []
        self._records[record.number] = record
        self._cost += _cost(record)
        while self._cost > HELD_MAX:
            late.append(self.pop(next(iter(self._records))))
        return late

    def before(self, number: int) -> list[Record]:
        """Those that came before one that waits."""
        older = []
        while (first := next(iter(self._records))) < number:
            older.append(self.pop(first))
        return older

    def pop(self, number: int) -> Record:
        record = self._records.pop(number)
        self._cost -= _cost(record)
        return record

    def rest(self) -> Iterable[Record]:
        return self._records.values()


def _cost(record: Record) -> int:
    return HELD_COST + len(record.payload)


def _head(payload: bytes) -> Head:
    """Raises JournalError for a head that says nothing, or nonsense."""
    try:
        found = Head(**json.loads(payload))
        if datetime.fromisoformat(found.started_at).tzinfo is None:
            raise ValueError("its time zero has no time zone")
        if found.rate not in PCM_RATES or found.codec != PCM:
            raise ValueError("its sound is of a kind that nobody here knows")
    except (TypeError, ValueError, RecursionError) as e:
        raise JournalError("The journal's first record is not readable.") from e
    return found
