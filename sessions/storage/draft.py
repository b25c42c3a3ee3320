"""A file in the making: nobody sees it under its name before it is whole and synced."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def draft(target: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A hidden file beside `target`, synced at the end and always gone afterwards.

    Whoever wants to keep it moves or links it before the block ends, after `sync`.
    """
    path = target.with_name(f".{target.name}.{secrets.token_hex(6)}.part")
    try:
        with path.open("xb") as file:
            yield path, file
    finally:
        with contextlib.suppress(OSError):
            path.unlink()


def sync(file: BinaryIO) -> None:
    """Have the bytes on the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
