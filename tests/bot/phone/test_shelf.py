"""Broken-off calls in a folder of this machine."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from uuid import UUID

from bot.phone.shelf import Shelf

ONE = UUID("11111111-2222-3333-4444-555555555555")
OTHER = UUID("66666666-2222-3333-4444-555555555555")


def test_what_is_put_can_be_got_until_it_is_dropped(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "calls")
    assert shelf.get(ONE) is None
    shelf.drop(ONE)
    shelf.put(ONE, "перший")
    shelf.put(ONE, "другий")
    assert shelf.get(ONE) == "другий"
    assert shelf.get(OTHER) is None
    shelf.drop(ONE)
    assert shelf.get(ONE) is None
    assert list((tmp_path / "calls").iterdir()) == []


def test_nobody_else_on_the_machine_can_read_it(tmp_path: Path) -> None:
    Shelf(tmp_path / "calls").put(ONE, "text")
    (path,) = (tmp_path / "calls").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_sweep_drops_what_is_old_and_nothing_that_is_not_ours(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    assert Shelf(tmp_path / "nowhere").sweep(before_s=1000.0) == 0
    shelf.put(ONE, "old")
    shelf.put(OTHER, "new")
    (tmp_path / f"{ONE}.draft").write_text("half")
    (tmp_path / "notes.txt").write_text("mine")
    for path in tmp_path.iterdir():
        os.utime(path, (2000, 2000) if path.stem == str(OTHER) else (999, 999))
    assert shelf.sweep(before_s=1000.0) == 2
    assert {path.name for path in tmp_path.iterdir()} == {f"{OTHER}.json", "notes.txt"}
