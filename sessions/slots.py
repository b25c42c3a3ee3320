"""Places in a folder that processes take one each, and find again: what a process
counts goes on where the one before it stopped, and files do not grow with restarts.

A place is a number whose lock file this process holds; the kernel lets go of it when
the process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

_LOCK = "{}.lock"


class Slot:
    """This process's place, taken when first asked for; a fork takes its own."""

    def __init__(self, folder: Path, *, taken: Callable[[int], None]) -> None:
        """`taken` is told its number, before anybody uses it."""
        self._folder = folder
        self._tell_taken = taken
        self._pid = 0
        self._number = 0
        self._held: int | None = None

    def number(self) -> int:
        """The least that nobody has. Raises OSError."""
        if self._pid != os.getpid():
            # A parent's lock is held with it: it stays the parent's.
            self._held, self._number = _taken(self._folder)
            self._pid = os.getpid()
            self._tell_taken(self._number)
        return self._number


def _taken(folder: Path) -> tuple[int, int]:
    folder.mkdir(parents=True, exist_ok=True)
    for number in count():
        held = _lock(folder / _LOCK.format(number))
        if held is not None:
            return held, number
    raise AssertionError  # numbers do not end


def _lock(path: Path) -> int | None:
    """A descriptor that holds the lock; None where another process does."""
    held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        return None
    return held


def free(folder: Path) -> Iterator[int]:
    """The places whose process has ended, one by one: nobody takes a place while it is
    looked at."""
    for path in folder.glob(_LOCK.format("*")):
        held = _lock(path)
        if held is not None:
            try:
                yield int(path.stem)
            finally:
                os.close(held)
