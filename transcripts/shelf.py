"""A shelf: sound of one track that waits to be listened to, on the disk.

Where more people talk than a machine can listen to, what waits grows for as long as
they talk. Memory holds little of it. The file has no name: it is gone with its process.
"""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Iterable
from typing import BinaryIO, cast

import numpy as np
from django.conf import settings

from sessions.audio.frames import Placed

_HEAD = struct.Struct("<qII")  # position, rate, samples


class Shelf:
    """First in, first out. For one thread."""

    def __init__(self) -> None:
        self._file: BinaryIO | None = None
        self._at = self._end = 0

    def __bool__(self) -> bool:
        return self._at < self._end

    def put(self, sound: Iterable[Placed]) -> None:
        """Keep it behind what is here: all of it, or nothing. Raises OSError."""
        data = b"".join(map(_record, sound))
        taken = 0
        while taken < len(data):
            rest = memoryview(data)[taken:]
            taken += os.pwrite(self._opened(), rest, self._end + taken)
        self._end += len(data)

    def take(self) -> Placed | None:
        """The first of what is here; None where nothing is. Raises OSError."""
        if not self:
            return None
        position, rate, samples = _HEAD.unpack(self._read(_HEAD.size))
        pcm = np.frombuffer(self._read(2 * samples), "<i2")
        if not self:
            self.close()
        return Placed(position, pcm, rate)

    def close(self) -> None:
        """Let go of the file, and of what is in it."""
        if self._file is not None:
            self._file.close()
        self._file, self._at, self._end = None, 0, 0

    def _opened(self) -> int:
        if self._file is None:
            where = settings.DATA_DIR
            file = tempfile.TemporaryFile(dir=where, buffering=0)  # noqa: SIM115 (close)
            self._file = cast("BinaryIO", file)
        return self._file.fileno()

    def _read(self, size: int) -> bytes:
        data = os.pread(self._opened(), size, self._at)
        if len(data) < size:
            raise OSError("what waited to be listened to is not there any more")
        self._at += size
        return data


def _record(placed: Placed) -> bytes:
    pcm = placed.pcm.astype("<i2", copy=False)
    return _HEAD.pack(placed.position, placed.rate, len(pcm)) + pcm.tobytes()
