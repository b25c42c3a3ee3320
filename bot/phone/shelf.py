"""Broken-off calls in a folder: one small file each, for the machine's own restart.

Written whole or not at all (SIGKILL); not synced, since a power cut ends the calls.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from uuid import UUID

_SUFFIX = ".json"
_DRAFT = ".draft"


class Shelf:
    """A folder of calls. Every method raises OSError; none is for an event loop."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, uuid: UUID, text: str) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._folder / f"{uuid}{_DRAFT}"
        # What people said: for nobody else on this machine.
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(self._path(uuid))

    def get(self, uuid: UUID) -> str | None:
        """What was put; None if there is nothing."""
        try:
            return self._path(uuid).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None

    def drop(self, uuid: UUID) -> None:
        self._path(uuid).unlink(missing_ok=True)

    def sweep(self, *, before_s: float) -> int:
        """Drop what was last written before then, by the wall clock; how many."""
        dropped = 0
        with contextlib.suppress(FileNotFoundError):
            for entry in list(os.scandir(self._folder)):
                is_ours = entry.name.endswith((_SUFFIX, _DRAFT))
                if is_ours and entry.stat().st_mtime < before_s:
                    Path(entry.path).unlink(missing_ok=True)
                    dropped += 1
        return dropped

    def _path(self, uuid: UUID) -> Path:
        return self._folder / f"{uuid}{_SUFFIX}"
