"""What a local file holds, told by checksums, and where it is cut for an upload."""

from __future__ import annotations

import base64
import hashlib
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sessions.storage.errors import NoFileError

SINGLE_MAX = 16 * 1024 * 1024
"""Bytes: what is larger is sent in parts. So much may be in memory at once."""
PART = 8 * 1024 * 1024
"""Bytes of a part; S3 wants at least 5 MiB, and at most 10,000 parts: 78 GiB."""
BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Content:
    """Of one reading of a file. `etag` is what S3 calls it when sent as it is cut."""

    size: int
    md5: str
    etag: str

    @property
    def is_parted(self) -> bool:
        return self.size > SINGLE_MAX


def pieces(path: Path, *, size: int, piece: int) -> Iterator[bytes]:
    """The first `size` bytes of a file, in pieces; fewer when it has become shorter.

    Raises NoFileError for a folder, a pipe or what else is no file."""
    with opened(path) as file:
        left = size
        while left and (block := file.read(min(piece, left))):
            left -= len(block)
            yield block


def content(path: Path) -> Content:
    """Read a file through; what is appended meanwhile is not looked at."""
    whole, size, digests = _md5(), 0, []
    for part in pieces(path, size=path.stat().st_size, piece=PART):
        whole.update(part)
        size += len(part)
        digests.append(_md5(part).digest())
    etag = whole.hexdigest()
    if size > SINGLE_MAX:
        etag = f"{_md5(b''.join(digests)).hexdigest()}-{len(digests)}"
    return Content(size, whole.hexdigest(), etag)


def opened(path: Path) -> BinaryIO:
    """A file to be read. Raises NoFileError where a pipe would be waited for."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise NoFileError
    return path.open("rb")


def of_bytes(data: bytes) -> Content:
    md5 = _md5(data).hexdigest()
    return Content(len(data), md5, md5)


def header(data: bytes) -> str:
    """The value of Content-MD5: servers that look at it store nothing damaged."""
    return base64.b64encode(_md5(data).digest()).decode("ascii")


def md5_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, _md5).hexdigest()


def _md5(data: bytes = b"") -> hashlib._Hash:
    """Against accidents, not against attackers: it is what S3 has."""
    return hashlib.md5(data, usedforsecurity=False)
