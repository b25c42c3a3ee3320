"""A diary: the journal of one connection, kept on disk while it goes on.

Every record is one write, done before anything else is made of the sound: a killed
process loses nothing of what it received. What the disk does not take is kept and
written later, in order; nothing is dropped.
"""

from __future__ import annotations

import os
import threading

from sessions import spool
from sessions.audio import journal
from sessions.audio.frames import Frame
from sessions.audio.journal import Head
from sessions.outages import Outage
from sessions.spool import Folder

_disk = Outage("the disk of the recordings")


class Diary:
    """Written by one event loop; `retry` and `sync` are called on another thread."""

    def __init__(self, folder: Folder, head: Head) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self._descriptor = os.open(folder.journal, flags, 0o640)
        spool.lock(self._descriptor)
        self._waiting = bytearray()
        self._writing = threading.Lock()
        self._sounds = 0
        self._unsynced = True
        self._write(journal.head(head))

    @property
    def is_behind(self) -> bool:
        """Whether the disk has not taken all of it yet."""
        return bool(self._waiting)

    def sound(self, frame: Frame) -> int:
        """Write down a frame that arrived; its number."""
        number, self._sounds = self._sounds, self._sounds + 1
        self._write(journal.sound(number, frame))
        return number

    def placed(self, number: int, position: int, *, dropped: int) -> None:
        self._write(journal.placed(number, position, dropped=dropped))

    def end(self) -> None:
        """The connection was closed in order."""
        self._write(journal.end())

    def retry(self) -> None:
        """Write what the disk did not take before."""
        with self._writing:
            if self._waiting:
                self._waiting = bytearray(self._rest_of(bytes(self._waiting)))

    def sync(self) -> None:
        """Make it outlive a power cut; once a second."""
        if self._unsynced:
            self._unsynced = False
            os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Sync and let go of it, and of its lock."""
        try:
            self.sync()
        finally:
            os.close(self._descriptor)

    def _write(self, data: bytes) -> None:
        with self._writing:
            if self._waiting:
                self._waiting += data  # in order; `retry` is soon
            else:
                self._waiting += self._rest_of(data)

    def _rest_of(self, data: bytes) -> bytes:
        """Write it; what the disk did not take."""
        self._unsynced = True
        try:
            taken = os.write(self._descriptor, data)
        except OSError:
            _disk.began()
            return data
        _disk.ended()
        return data[taken:]
