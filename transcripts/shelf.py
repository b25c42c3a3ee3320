"""A shelf: sound of one track that waits, on the disk.

Where more people talk than a machine can listen to, or write down, what waits grows for
as long as they talk. Memory holds little of it. The files have no names: they are gone
with their process.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import tempfile
from collections import deque
from typing import BinaryIO, cast

import numpy as np
from django.conf import settings

from sessions.audio.frames import Placed

FILE_BYTES = 16 * 1024**2
"""What was taken gives its room back when a file of this size is read through."""
SPARE_BYTES = 1024**3
"""So much of the disk is left to what must lie there: journals, and the database."""
_HEAD = struct.Struct("<qII")  # position, rate, samples


class Shelf:
    """First in, first out. For one thread."""

    def __init__(self) -> None:
        self._files: deque[_File] = deque()

    def __bool__(self) -> bool:
        return bool(self._files)

    def put(self, placed: Placed) -> None:
        """Keep it behind what is here. Raises OSError, and has not kept it."""
        _check_room()
        if not self._files or self._files[-1].end >= FILE_BYTES:
            self._files.append(_File())
        pcm = placed.pcm.astype("<i2", copy=False)
        head = _HEAD.pack(placed.position, placed.rate, len(pcm))
        try:
            self._files[-1].append(head + pcm.tobytes())
        except OSError:
            if self._files[-1].is_read:
                self._files.pop().close()
            raise

    def take(self) -> Placed | None:
        """The first of what is here; None where nothing is. Raises OSError."""
        if not self:
            return None
        file = self._files[0]
        position, rate, samples = _HEAD.unpack(file.read(_HEAD.size))
        pcm = np.frombuffer(file.read(2 * samples), "<i2")
        if file.is_read:
            self._files.popleft().close()
        return Placed(position, pcm, rate)

    def close(self) -> None:
        """Let go of the files, and of what is in them."""
        while self._files:
            self._files.pop().close()


class _File:
    """One without a name, read from its beginning and written at its end."""

    def __init__(self) -> None:
        where = settings.DATA_DIR
        file = tempfile.TemporaryFile(dir=where, buffering=0)  # noqa: SIM115 (close)
        self._file = cast("BinaryIO", file)
        self._at = self.end = 0

    @property
    def is_read(self) -> bool:
        return self._at == self.end

    def append(self, data: bytes) -> None:
        """All of it, or nothing."""
        taken = 0
        try:
            while taken < len(data):
                rest = memoryview(data)[taken:]
                taken += os.pwrite(self._file.fileno(), rest, self.end + taken)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file.fileno(), self.end)
            raise
        self.end += len(data)

    def read(self, size: int) -> bytes:
        data = os.pread(self._file.fileno(), size, self._at)
        if len(data) < size:
            raise OSError("what waited is not there any more")
        self._at += size
        return data

    def close(self) -> None:
        with contextlib.suppress(OSError):  # it holds nothing that anybody wants
            self._file.close()


def _check_room() -> None:
    disk = os.statvfs(settings.DATA_DIR)
    if disk.f_bavail * disk.f_frsize < SPARE_BYTES:
        raise OSError(errno.ENOSPC, "too little room for what waits")
