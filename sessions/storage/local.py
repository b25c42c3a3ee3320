"""Storage in a folder of this machine: the default, and complete without any cloud."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from sessions import keys, measures
from sessions.keys import BadKeyError
from sessions.storage import content, links
from sessions.storage.draft import draft, sync, sync_folder
from sessions.storage.errors import (
    DamagedError,
    KeyTakenError,
    NoFileError,
    NotStoredError,
    StorageError,
    of_disk,
)
from sessions.storage.port import Stored

TRIES = 5
"""A folder may be taken away, being empty, while a file is about to go into it."""


class LocalStorage:
    """Files under `root`, by their keys. `host` goes before the path of a link."""

    def __init__(self, root: Path, *, host: str = "") -> None:
        self._root = root.resolve()
        self._host = host

    def put(self, key: str, path: Path, *, content_type: str) -> Stored:
        # os.link is what refuses an existing name: rename would overwrite it.
        wanted = content.content(path)
        try:
            self._write(key, path, wanted.size, keep=os.link)
        except FileExistsError:
            self._settle(key)
        found = self.stat(key)
        if not found:
            raise DamagedError("it is gone again")
        if (found.size, found.md5) != (wanted.size, wanted.md5):
            raise KeyTakenError
        return found

    def replace(self, key: str, path: Path, *, content_type: str) -> Stored:
        self._write(key, path, path.stat().st_size, keep=os.replace)
        found = self.stat(key)
        if not found:
            raise DamagedError("it is gone again")
        return found

    def get(self, key: str, path: Path) -> Stored:
        try:
            with self._open(key) as source, draft(path) as (whole, file):
                shutil.copyfileobj(source, file, content.BLOCK)
                sync(file)
                size = os.fstat(source.fileno()).st_size
                if file.tell() != size:
                    raise DamagedError("it is shorter than it was")
                md5 = content.md5_of(whole)
                whole.replace(path)
                sync_folder(path.parent)
        except OSError as e:
            raise _counted(e) from e
        return Stored(key, size, md5)

    def read(self, key: str, *, start: int, stop: int) -> bytes:
        with self._open(key) as file:
            file.seek(start)
            return file.read(max(0, stop - start))

    def stat(self, key: str) -> Stored | None:
        path = self.path(key)
        try:
            found = content.content(path)
            modified = path.stat().st_mtime
        except (FileNotFoundError, NotADirectoryError, NoFileError):
            return None
        except OSError as e:
            raise _counted(e) from e
        return Stored(key, found.size, found.md5, datetime.fromtimestamp(modified, UTC))

    def listing(self, prefix: str = "") -> Iterator[Stored]:
        folder = self._root / prefix.rpartition("/")[0]
        if ".." in prefix.split("/") or prefix.startswith("/"):
            raise BadKeyError
        for path in _files(folder):
            key = path.relative_to(self._root).as_posix()
            if not key.startswith(prefix) or not keys.is_key(key):
                continue
            with contextlib.suppress(FileNotFoundError):
                seen = path.stat()
                modified = datetime.fromtimestamp(seen.st_mtime, UTC)
                yield Stored(key, seen.st_size, "", modified)

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            path = self.path(key)
            try:
                path.unlink(missing_ok=True)
            except NotADirectoryError:
                continue
            except OSError as e:
                raise _counted(e) from e
            self._prune(path.parent)

    def link(
        self,
        key: str,
        *,
        expires_s: int,
        filename: str | None = None,
        content_type: str | None = None,
    ) -> str:
        token = links.sign(
            key, expires_s=expires_s, filename=filename, content_type=content_type
        )
        return f"{self._host}{links.PATH}{token}"

    def close(self) -> None:
        """There is nothing open."""

    def path(self, key: str) -> Path:
        """Where the file of a key is; never outside of the root, links included."""
        path = self._root / keys.check(key)
        if not path.resolve().is_relative_to(self._root):
            raise BadKeyError
        return path

    def _open(self, key: str) -> BinaryIO:
        keys.check(key)
        try:
            return content.opened(self.path(key))
        except (FileNotFoundError, NotADirectoryError, NoFileError, BadKeyError) as e:
            raise NotStoredError from e
        except OSError as e:
            raise _counted(e) from e

    def _write(
        self, key: str, path: Path, size: int, *, keep: Callable[[Path, Path], None]
    ) -> None:
        """Copy the first `size` bytes of `path`, then let `keep` give them the name.

        Raises FileExistsError when `keep` does.
        """
        target = self.path(key)
        for left in reversed(range(TRIES)):
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                with draft(target) as (whole, file):
                    for block in content.pieces(path, size=size, piece=content.BLOCK):
                        file.write(block)
                    sync(file)
                    keep(whole, target)
                self._sync_folders(target.parent)
            except FileExistsError:
                raise
            except FileNotFoundError as e:
                if not path.exists():
                    raise
                if not left:
                    raise _counted(e) from e
            except OSError as e:
                raise _counted(e) from e
            else:
                return

    def _settle(self, key: str) -> None:
        """Make what lies there already outlive a power cut: whoever put it may have
        died before. Raises KeyTakenError for what is no file."""
        target = self.path(key)
        try:
            with content.opened(target) as file:
                os.fsync(file.fileno())
            self._sync_folders(target.parent)
        except NoFileError as e:
            raise KeyTakenError from e
        except FileNotFoundError:
            return  # it is gone again
        except OSError as e:
            raise _counted(e) from e

    def _sync_folders(self, folder: Path) -> None:
        """The folder's names and those of the folders above it, some of them new."""
        while folder.is_relative_to(self._root):
            sync_folder(folder)
            folder = folder.parent

    def _prune(self, folder: Path) -> None:
        """Take away folders that became empty."""
        with contextlib.suppress(OSError):
            while folder != self._root:
                folder.rmdir()
                folder = folder.parent


def _files(folder: Path) -> Iterator[Path]:
    """All finished files below, in the order of their keys; no links are followed."""
    try:
        names = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as e:
        raise _counted(e) from e
    for name in sorted(names, key=_in_key_order):
        if name.name.startswith("."):
            continue
        if name.is_dir(follow_symlinks=False):
            yield from _files(Path(name.path))
        elif name.is_file(follow_symlinks=False):
            yield Path(name.path)


def _in_key_order(entry: os.DirEntry[str]) -> str:
    """Keys are compared whole: a folder sorts as its name and a slash."""
    return f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name


def _counted(error: OSError) -> StorageError:
    found = of_disk(error)
    measures.STORAGE_ERRORS.labels(found.code).inc()
    return found
