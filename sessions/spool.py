"""The spool: where recordings lie on this host until storage has them, verified.

    DATA_DIR/spool/{session}/{participant}-{time}/journal
                                                  0000012500.mp3   a sealed chunk
                                                  0000012500.loud  of its granules
                                                  0000025000.part  the open one

One folder for each connection. Its journal is locked by the process that writes it: a
lock that is free means that nobody does any more, however they ended. Knows names and
locks, not what the files hold; what is no file there is never opened.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings

from sessions.keys import stamp

SEALED, OPEN, LOUD, ODD = ".mp3", ".part", ".loud", ".odd"
NO_WAIT = os.O_NONBLOCK
"""Opening a pipe would wait for its other end."""


@dataclass(frozen=True, slots=True)
class Folder:
    """What one connection left on this host."""

    path: Path

    @property
    def name(self) -> str:
        """The connection's name: in rows, and in what is made of it."""
        return self.path.name

    @property
    def journal(self) -> Path:
        return self.path / "journal"

    @property
    def fragment(self) -> Path:
        """Its chunks, joined."""
        return self.path / "fragment"

    @property
    def original(self) -> Path:
        """Its journal as FLAC."""
        return self.path / "original"

    def sealed(self, first_frame: int) -> Path:
        """The chunk that begins with this frame of the session."""
        return self.path / f"{first_frame:010d}{SEALED}"

    def open(self, first_frame: int) -> Path:
        return self.path / f"{first_frame:010d}{OPEN}"

    def granules(self, first_frame: int) -> Path:
        """What was measured of this chunk's granules."""
        return self.path / f"{first_frame:010d}{LOUD}"

    def chunks(self) -> list[tuple[int, Path]]:
        """The sealed chunks by their first frame, in order."""
        found = self.path.glob(f"*{SEALED}")
        return sorted((int(p.stem), p) for p in found if _is_chunk(p))

    def set_aside(self) -> None:
        """Rename what is no file (a pipe, a link, a folder) and stands where one is to
        be written or read: nobody waits for it, nothing is written through it."""
        for path in list(self.path.iterdir()):
            if not is_file(path) and not path.name.endswith(ODD):
                path.replace(path.with_name(path.name + ODD))

    def drop(self) -> None:
        """Delete all of it: storage has it, or nobody wants it."""
        shutil.rmtree(self.path, ignore_errors=True)
        with contextlib.suppress(OSError):  # the last of its session
            self.path.parent.rmdir()

    @contextlib.contextmanager
    def taken(self) -> Iterator[bool]:
        """Whether it is this caller's for as long as the block lasts: not while the
        process that records still writes, nor while another worker is at it."""
        try:
            descriptor = os.open(self.journal, os.O_RDWR | os.O_NOFOLLOW | NO_WAIT)
        except OSError:  # there is none, or it is no file: nobody writes that
            yield True
            return
        with _locked(descriptor) as is_ours:
            yield is_ours


@contextlib.contextmanager
def held(path: Path) -> Iterator[bool]:
    """Whether this file's lock is the caller's for as long as the block lasts."""
    with _locked(os.open(path, os.O_RDWR | os.O_CREAT, 0o640)) as is_ours:
        yield is_ours


@contextlib.contextmanager
def _locked(descriptor: int) -> Iterator[bool]:
    try:
        yield lock(descriptor)
    finally:
        os.close(descriptor)


def lock(descriptor: int) -> bool:
    """Hold an open journal for this process until it is closed; False if taken."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def root() -> Path:
    return Path(settings.DATA_DIR) / "spool"


def new(*, session: object, participant: object, opened_at: datetime) -> Folder:
    """A new connection's folder."""
    folder = Folder(root() / str(session) / f"{participant}-{stamp(opened_at)}")
    folder.path.mkdir(parents=True, exist_ok=True)
    return folder


def folders(session: object | None = None) -> list[Folder]:
    """What lies on this host, of one session or of all."""
    pattern = f"{session}/*" if session else "*/*"
    paths = sorted(root().glob(pattern))
    return [Folder(p) for p in paths if p.is_dir() and not p.is_symlink()]


def is_file(path: Path) -> bool:
    """Whether it is there, and a file: no link, no folder, no pipe."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _is_chunk(path: Path) -> bool:
    return path.stem.isdecimal() and is_file(path)


def sync_folder(path: Path) -> None:
    """Make names in a folder outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_names(folder: Folder) -> None:
    """Make what is in a connection's folder, and the folder itself, outlive one."""
    for path in (folder.path, *folder.path.parents):
        sync_folder(path)
        if path == root().parent:
            return
