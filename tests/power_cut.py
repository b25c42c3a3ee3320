"""Cuts the power under a recording process: what was not synced is gone.

    python tests/power_cut.py TRIALS [SEED] [SPEED]

The process notes each sync: of a file how long it was, of a folder which names it had.
It is killed at a random moment; then its folder is made as a disk may hold it: files
as long as at their last sync or up to what they were, names as at their folder's last
sync or later, what was deleted without a sync there again. In every second trial
everything that was not synced is gone, the database's newest transactions among it.
With a SPEED other than 1 sound and syncs go so many times faster, and a sync itself
takes no time. One line of JSON for each trial.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import stat
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crash import RATE, STAGES, forked, home, looked_at, victim

SOUND_S = 6.0
ENDING_S = 1.0
"""About how long joining and mixing take then."""
Names = dict[str, int]
"""Of a folder: its names and their inodes."""


@dataclass
class Disk:
    """What is known to be on the disk."""

    folders: dict[str, Names] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)

    @classmethod
    def holding(cls, root: Path) -> Disk:
        """All that lies there now."""
        disk = cls()
        for folder, _, files in os.walk(root):
            disk.folders[folder] = names_in(folder)
            for name in files:
                found = os.lstat(Path(folder) / name)
                disk.sizes[found.st_ino] = found.st_size
        return disk

    def learn(self, notes: Path) -> None:
        """What a process noted of its syncs."""
        for line in notes.read_text().splitlines():
            what, value = json.loads(line)
            if isinstance(what, int):
                self.sizes[what] = value
            else:
                self.folders[what] = value


def names_in(folder: str) -> Names:
    return {entry.name: entry.inode() for entry in os.scandir(folder)}


def note_syncs(notes: Path, grave: Path, *, takes_time: bool) -> None:
    """From now on in this process: syncs are noted, and what is deleted is kept."""
    written = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    unlink, replace = os.unlink, os.replace

    def noting(sync: Callable[[int], None]) -> Callable[[int], None]:
        def noted(descriptor: Any) -> None:
            descriptor = getattr(descriptor, "fileno", lambda: descriptor)()
            found = os.fstat(descriptor)
            if stat.S_ISDIR(found.st_mode):
                folder = str(Path(f"/proc/self/fd/{descriptor}").readlink())
                line: list[Any] = [folder, names_in(folder)]
            else:
                line = [found.st_ino, found.st_size]
            if takes_time:
                sync(descriptor)
            os.write(written, json.dumps(line).encode() + b"\n")

        return noted

    def keep(path: Any, dir_fd: int | None = None) -> None:
        try:
            inode = os.stat(path, dir_fd=dir_fd, follow_symlinks=False).st_ino
            os.link(path, grave / str(inode), src_dir_fd=dir_fd)
        except OSError:
            return  # there was nothing, or it is kept

    def unlinking(path: Any, *, dir_fd: int | None = None) -> None:
        keep(path, dir_fd)
        unlink(path, dir_fd=dir_fd)

    def replacing(source: Any, target: Any) -> None:
        keep(target)
        replace(source, target)

    os.fsync, os.fdatasync = noting(os.fsync), noting(os.fdatasync)  # type: ignore[assignment]
    os.unlink = os.remove = unlinking
    os.replace = os.rename = replacing  # type: ignore[assignment]


def without_checkpoints(database: Path) -> sqlite3.Connection:
    """All transactions of this process stay in the log, where they can be cut off."""
    from django.db.backends.signals import connection_created

    def set_up(connection: Any, **_: Any) -> None:
        connection.cursor().execute("PRAGMA wal_autocheckpoint=0")

    connection_created.connect(set_up, weak=False)
    held = sqlite3.connect(database)  # whoever closes last would check-point
    held.execute("SELECT count(*) FROM django_migrations").fetchone()
    return held


def cut(now: Path, disk: Disk, grave: Path, dice: random.Random | None) -> None:
    """Make a folder what a power cut may leave of it: with `dice` this or that of what
    was not synced is there all the same; without, nothing of it."""
    contents = {path.lstat().st_ino: path for path in grave.iterdir()}
    after = now.with_name("after")
    actual: dict[str, Names] = {}
    for folder, folders, files in os.walk(now):
        actual[folder] = names_in(folder)
        for name in files + folders:
            path = Path(folder) / name
            contents[path.lstat().st_ino] = path

    def rebuild(folder: str) -> None:
        (after / Path(folder).relative_to(now)).mkdir()
        synced, seen = disk.folders.get(folder, {}), actual.get(folder, {})
        for name, inode in remaining(synced, seen, dice).items():
            path = Path(folder) / name
            if str(path) in actual or str(path) in disk.folders:
                rebuild(str(path))
            elif inode in contents and not name.endswith("-shm"):
                data = contents[inode].read_bytes()
                size = disk.sizes.get(inode, 0)
                if dice is not None and size < len(data):
                    size = dice.randint(size, len(data))
                (after / path.relative_to(now)).write_bytes(data[:size])

    rebuild(str(now))
    shutil.rmtree(now)
    after.rename(now)


def remaining(synced: Names, seen: Names, dice: random.Random | None) -> Names:
    """The names a folder has after a cut: those it had at its sync, and with `dice`
    some of what happened since."""
    names = dict(synced)
    for name in sorted({*synced, *seen}) if dice else []:
        if synced.get(name) != seen.get(name) and dice and dice.random() < 0.5:
            names.pop(name, None)
            names |= {name: seen[name]} if name in seen else {}
    return names


def trial(
    folder: Path, dice: random.Random, *, after_s: float, speed: float, worst: bool
) -> Any:
    now, notes, grave = folder / "now", folder / "notes", folder / "grave"
    shutil.rmtree(now)
    shutil.copytree(folder / "fresh", now)
    shutil.rmtree(grave, ignore_errors=True)
    grave.mkdir()
    notes.unlink(missing_ok=True)
    disk = Disk.holding(now)

    def recording(tell: Callable[[int], None]) -> None:
        from sessions.capture import desk

        held = without_checkpoints(now / "parley.sqlite3")
        desk.SYNC_S, desk.LOOK_S = desk.SYNC_S / speed, desk.LOOK_S / speed
        note_syncs(notes, grave, takes_time=speed == 1)
        victim(tell, pace_s=0.02 / speed)
        held.close()

    pid, told = forked(recording)
    with os.fdopen(told, "rb", buffering=0) as reports:
        first = reports.read(4)
        time.sleep(after_s)
        os.kill(pid, signal.SIGKILL)
        data = first + b"".join(iter(lambda: reports.read(1 << 16), b""))
        os.waitpid(pid, 0)
    told_of = [n for (n,) in struct.iter_unpack("<i", data)]
    disk.learn(notes)
    cut(now, disk, grave, None if worst else dice)
    received = max([0, *told_of])
    found = looked_at(now)
    return {
        "received": received,
        "stage": STAGES.get(told_of[-1], "recording") if told_of else "recording",
        "worst": worst,
        "lost_s": max(received - found.get("recorded", 0), 0) / RATE,
        **found,
    }


def main(trials: int, seed: int, speed: float) -> None:
    dice = random.Random(seed)
    with home() as folder:
        for number in range(trials):
            after_s = dice.uniform(0, SOUND_S / speed)
            if number % 3 == 2:
                after_s = SOUND_S / speed + dice.uniform(0, ENDING_S)
            is_worst = number % 2 == 0
            found = trial(folder, dice, after_s=after_s, speed=speed, worst=is_worst)
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[1])]
    asked = [float(word) for word in sys.argv[1:]] + [1.0] * 3
    main(int(asked[0]), int(asked[1]), asked[2])
