"""The journal: what one connection received, as it arrived, and where it was placed.

An append-only file of records. It is the lossless truth of a recording: everything else
(chunks, fragments, masters) can be made from it again, bit for bit. Pure: bytes in,
bytes out; who writes them to which disk is the recorder's matter.

    record = MARK kind:u8 number:u32 size:u32 at:i64 count:u32 payload[size] crc32:u32

all little-endian. A torn last record is what a crash leaves, and is dropped; behind a
damaged one, reading goes on at the next that is whole.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import BinaryIO

import numpy as np

from sessions.audio.frames import TIMELINE_RATE, Frame, Placed

MARK = b"\xf5J"
_FIELDS = struct.Struct("<BIIqI")
_HEAD = len(MARK) + _FIELDS.size
_CRC = struct.Struct("<I")
LARGEST = 1 << 20
"""No payload is larger: a frame is 64 KiB at most. What says otherwise is damage."""

HEAD, SOUND, PLACED, END = b"HSPE"


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
    codec: str = "pcm_s16le"


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
    return _record(SOUND, number, at=at, count=frame.skipped, payload=pcm)


def placed(number: int, position: int, *, dropped: int) -> bytes:
    """Frame `number` stands at `position`, without its first `dropped` samples (drift,
    taken out)."""
    return _record(PLACED, number, at=position, count=dropped)


def end() -> bytes:
    """The connection was closed in order: nothing is missing."""
    return _record(END)


def _record(
    kind: int, number: int = 0, *, at: int = 0, count: int = 0, payload: bytes = b""
) -> bytes:
    data = MARK + _FIELDS.pack(kind, number, len(payload), at, count) + payload
    return data + _CRC.pack(zlib.crc32(data))


def records(data: bytes | memoryview) -> Iterator[Record]:
    """Every whole record; what is torn or damaged in between is passed over."""
    data = bytes(data)
    at = 0
    while (at := data.find(MARK, at)) >= 0:
        found = _record_at(data, at)
        if found is None:
            at += 1
            continue
        yield found
        at += _HEAD + len(found.payload) + _CRC.size


def _record_at(data: bytes, at: int) -> Record | None:
    if at + _HEAD + _CRC.size > len(data):
        return None
    kind, number, size, when, count = _FIELDS.unpack_from(data, at + len(MARK))
    behind = at + _HEAD + size
    if size > LARGEST or behind + _CRC.size > len(data):
        return None
    if _CRC.unpack_from(data, behind)[0] != zlib.crc32(data[at:behind]):
        return None
    return Record(kind, number, when, count, data[at + _HEAD : behind])


class Journal:
    """A journal that was written, read back. Raises JournalError if it is none."""

    def __init__(self, file: BinaryIO) -> None:
        self._records = records(file.read())
        first = next(self._records, None)
        if first is None or first.kind != HEAD:
            raise JournalError("This file does not begin as a journal.")
        try:
            self.head = Head(**json.loads(first.payload))
        except (TypeError, ValueError) as e:
            raise JournalError("The journal's first record is not readable.") from e
        self.ended = False

    def placed(self) -> Iterator[Placed]:
        """All sound at its place, in order. What was received and never placed, because
        the process died, stands behind what came before it. Read once."""
        waiting: dict[int, Record] = {}
        behind: int | None = None  # the position behind what was placed last
        for record in self._records:
            if record.kind == SOUND:
                waiting[record.number] = record
            elif record.kind == PLACED and (heard := waiting.pop(record.number, None)):
                older = [waiting.pop(n) for n in list(waiting) if n < record.number]
                for piece in self._unplaced(older, behind):  # their places are damaged
                    yield piece
                piece = self._piece(heard, record.at, dropped=record.count)
                behind = piece.end
                yield piece
            self.ended = self.ended or record.kind == END
        yield from self._unplaced(waiting.values(), behind)

    def _unplaced(
        self, waiting: Iterable[Record], behind: int | None
    ) -> Iterator[Placed]:
        scale = TIMELINE_RATE // self.head.rate
        for record in waiting:
            if behind is None:  # the stream's first while: by its arrival
                behind = max(record.at - len(record.payload) // 2 * scale, 0)
            piece = self._piece(record, behind + record.count * scale, dropped=0)
            behind = piece.end
            yield piece

    def _piece(self, record: Record, position: int, *, dropped: int) -> Placed:
        whole = record.payload[: len(record.payload) // 2 * 2]
        return Placed(position, np.frombuffer(whole, "<i2")[dropped:], self.head.rate)
