"""What every storage can do. Objects are immutable, but for those that `replace` wrote.

All calls block: they belong into tasks and threads, never into an event loop. All
raise StorageError, and `BadKeyError` for a key that `sessions.keys` would not make.
Of several processes only one may put the same key at a time: the claim of its task.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Stored:
    """An object. `md5` is hexadecimal, and "" where it would have to be read first."""

    key: str
    size: int
    md5: str
    modified_at: datetime | None = None


class Storage(Protocol):
    """A place for recordings."""

    def put(self, key: str, path: Path, *, content_type: str) -> Stored:
        """Store a file that no longer changes, and make sure that it is whole there.

        On return size and checksum of what is stored are those of the file. The same
        again is fine; another content under the key raises KeyTakenError. What came
        to lie there damaged is taken away, and DamagedError raised: try again.
        """

    def replace(self, key: str, path: Path, *, content_type: str) -> Stored:
        """Store what a file holds now, in place of what was there; checked as above.

        When it fails the object may be the old one, or damaged.
        """

    def get(self, key: str, path: Path) -> Stored:
        """Fetch an object into a file: whole and synced, or not there at all."""

    def read(self, key: str, *, start: int, stop: int) -> bytes:
        """The bytes from `start` up to `stop`; fewer where the object ends before."""

    def stat(self, key: str) -> Stored | None:
        """What is stored under a key; None when nothing is."""

    def listing(self, prefix: str = "") -> Iterator[Stored]:
        """All objects whose keys begin so, in the order of keys, without their md5."""

    def delete(self, keys: Iterable[str]) -> None:
        """Take objects away; those that are not there are no fault."""

    def link(
        self,
        key: str,
        *,
        expires_s: int,
        filename: str | None = None,
        content_type: str | None = None,
    ) -> str:
        """An address that serves the object to whoever has it, for so many seconds.

        `filename`: what a browser shall call the download. Does not look whether the
        object is there. A path without a host leads to this installation itself.
        """

    def close(self) -> None:
        """Let go of connections."""
