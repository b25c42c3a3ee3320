"""A copy of an installation, taken while it runs: a folder that is a DATA_DIR again.

Tables first, so that whatever they name lies somewhere by the time it is copied; the
spool before the storage, for sound moves from one to the other and never back. What
comes meanwhile may be in files without its row: recovery finds it by its journal.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from django.conf import settings
from django.db import connection

from sessions.errors import VoiceError

DUMP = "parley.dump"
"""PostgreSQL's own format: for pg_restore."""
TABLES = "parley.sqlite3"


class BackupError(VoiceError):
    def __init__(self, message: str) -> None:
        super().__init__("backup", message, status=500)


def back_up(target: Path) -> Iterator[str]:
    """Copy all of it into a new folder; says what was done. Raises BackupError."""
    if target.exists() and any(target.iterdir()):
        raise BackupError(f"{target} is not empty: give each copy a folder of its own.")
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    by_vendor = {"sqlite": _sqlite, "postgresql": _postgresql}
    yield f"tables: {by_vendor[connection.vendor](target)}"
    yield _key(target)
    yield f"spool: {_copied(settings.DATA_DIR / 'spool', target / 'spool')} files"
    yield f"logs: {_copied(settings.LOGS_DIR, target / 'logs')} files"
    if settings.S3_BUCKET:
        yield f"storage: left where it is, in the bucket {settings.S3_BUCKET}"
        return
    yield f"storage: {_copied(settings.STORAGE_DIR, target / 'storage')} files"


def _sqlite(target: Path) -> str:
    """By SQLite itself, which knows what is being written."""
    source = str(settings.DATABASES["default"]["NAME"])
    with (
        closing(sqlite3.connect(source)) as here,
        closing(sqlite3.connect(target / TABLES)) as there,
    ):
        here.backup(there)
    return TABLES


def _postgresql(target: Path) -> str:
    known = connection.settings_dict
    words = ["--format=custom", f"--file={target / DUMP}", f"--dbname={known['NAME']}"]
    places = {"--host": "HOST", "--port": "PORT", "--username": "USER"}
    words += [
        f"{option}={known[name]}" for option, name in places.items() if known[name]
    ]
    secret = {"PGPASSWORD": str(known["PASSWORD"])} if known["PASSWORD"] else {}
    try:
        subprocess.run(
            [program("pg_dump"), *words],
            env=secret,
            capture_output=True,
            text=True,
            check=True,
        )
    except subprocess.CalledProcessError as e:
        raise BackupError(f"pg_dump failed: {e.stderr[-300:]}") from e
    return DUMP


def program(name: str) -> str:
    """A PostgreSQL program: Debian keeps some off the path. Raises BackupError."""
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = str(debian[-1]) if debian else shutil.which(name)
    if not found:
        raise BackupError(f"{name} is not installed: it belongs to PostgreSQL.")
    return found


def _key(target: Path) -> str:
    """The one in use, wherever it came from."""
    path = target / "secret_key"
    path.touch(mode=0o600)
    path.write_text(settings.SECRET_KEY, encoding="utf-8")
    return path.name


def _copied(source: Path, target: Path) -> int:
    """Every file that is there when its turn comes; how many."""
    target.mkdir(exist_ok=True)
    count = 0
    for folder, _, names in os.walk(source):
        place = target / Path(folder).relative_to(source)
        place.mkdir(exist_ok=True)
        for name in names:
            path = Path(folder, name)
            try:
                if path.is_file() and not path.is_symlink():
                    shutil.copy2(path, place / name)
                    count += 1
            except FileNotFoundError:
                continue  # it has gone to storage meanwhile, which is copied later
    return count
