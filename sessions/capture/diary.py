"""A diary: the journal of one connection, kept on disk while it goes on.

What came at once is one write: a capture has it done before it takes the next, or the
recorder at the end of the loop's round, for sound that had waited in this process
anyway. Each write lets go of the interpreter, and the loop then waits for it behind
every other thread. What the disk does not take is kept and written later, in order;
nothing is dropped.
"""

from __future__ import annotations

import contextlib
import os
import threading

import structlog

from sessions import spool
from sessions.audio import journal
from sessions.audio.frames import Frame
from sessions.audio.journal import Head
from sessions.capture.writing import write
from sessions.outages import Outage
from sessions.spool import Folder

log = structlog.get_logger(__name__)

_disk = Outage("the disk of the recordings")


def conclude(folder: Folder) -> None:
    """Say in a journal that is closed: whoever heard it has written down what they
    heard. Nobody is told where it was dropped meanwhile, or the disk is full: it will
    be heard again, and nothing comes of that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder.journal, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
        try:
            write(descriptor, journal.end())
        finally:
            os.close(descriptor)


class Diary:
    """Written by one event loop; the rest is called on other threads."""

    def __init__(self, folder: Folder, head: Head) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self._descriptor = os.open(folder.journal, flags, 0o640)
        spool.lock(self._descriptor)
        self._folder = folder
        self._is_named = self._is_closed = False
        self._syncing = threading.Lock()
        self._collected = bytearray()
        self._waiting = bytearray()
        self._writing = threading.Lock()
        self._sounds = 0
        self._unsynced = True
        self._write(journal.head(head))

    @property
    def is_behind(self) -> bool:
        """Whether the disk has not taken all of it yet."""
        return bool(self._waiting)

    @property
    def is_unsynced(self) -> bool:
        """Whether a power cut would take some of it."""
        return self._unsynced or not self._is_named

    def sound(self, frame: Frame) -> int:
        """Collect a frame that arrived; its number."""
        number, self._sounds = self._sounds, self._sounds + 1
        self._collected += journal.sound(number, frame)
        return number

    def placed(self, number: int, position: int, *, dropped: int) -> None:
        self._collected += journal.placed(number, position, dropped=dropped)

    def flush(self) -> None:
        """Write down what was collected."""
        if self._collected:
            collected, self._collected = bytes(self._collected), bytearray()
            self._write(collected)

    def retry(self) -> None:
        """Write what the disk did not take before."""
        with self._writing:
            if self._waiting:
                self._waiting = bytearray(self._rest_of(bytes(self._waiting)))

    def sync(self) -> None:
        """Make it outlive a power cut, with its name; twice a second. Raises OSError,
        and is tried again."""
        with self._syncing:
            if not self._is_closed:
                self._sync()

    def close(self) -> None:
        """Sync and let go of it, and of its lock."""
        with self._syncing:
            if self._is_closed:
                return
            try:
                self._sync()
            except OSError:
                # It is written: only a power cut can still take it.
                log.exception("recording.not_synced", folder=self._folder.name)
            self._is_closed = True
            os.close(self._descriptor)

    def _sync(self) -> None:
        if self._unsynced:
            self._unsynced = False  # before: what is written meanwhile is for next time
            try:
                os.fdatasync(self._descriptor)
            except OSError:
                self._unsynced = True
                raise
        if not self._is_named:
            spool.sync_names(self._folder)
            self._is_named = True

    def _write(self, data: bytes) -> None:
        with self._writing:
            if self._waiting:
                self._waiting += data  # in order; `retry` is soon
            else:
                self._waiting += self._rest_of(data)

    def _rest_of(self, data: bytes) -> bytes:
        """Write it; what the disk did not take."""
        try:
            taken = write(self._descriptor, data)
        except OSError:
            _disk.began()
            return data
        self._unsynced = True  # behind it: a sync in between has not seen it
        _disk.ended()
        return data[taken:]
