"""What waits to be listened to lies on the disk, and comes back as it was."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_django.fixtures import Settings

from sessions.audio.frames import Placed
from transcripts.shelf import Shelf


@pytest.fixture(autouse=True)
def _data(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path


def shelved(*sound: Placed) -> Shelf:
    shelf = Shelf()
    for one in sound:
        shelf.put(one)
    return shelf


def pieces(count: int, first: int = 0) -> list[Placed]:
    dice = np.random.default_rng(first)
    return [
        Placed(
            (first + number) * 5_000,
            dice.integers(-32_768, 32_767, 160 + number).astype(np.int16),
            (8_000, 48_000)[number % 2],
        )
        for number in range(count)
    ]


def same(found: list[Placed | None], wanted: list[Placed]) -> bool:
    return len(found) == len(wanted) and all(
        one is not None
        and (one.position, one.rate) == (other.position, other.rate)
        and np.array_equal(one.pcm, other.pcm)
        for one, other in zip(found, wanted, strict=True)
    )


def test_it_gives_back_what_it_was_given_in_turn() -> None:
    first, second = pieces(5), pieces(4, first=9)
    assert Shelf().take() is None
    shelf = shelved(*first)
    found = [shelf.take(), shelf.take()]
    for one in second:
        shelf.put(one)
    found += [shelf.take() for _ in range(7)]
    assert same(found, first + second)
    assert not shelf


def open_files() -> set[str]:
    """Those of this process that have no name."""
    files = list(Path("/proc/self/fd").iterdir())
    targets = {str(one.readlink()) for one in files if one.is_symlink()}
    return {one for one in targets if one.endswith("(deleted)")}


def test_its_files_have_no_names_and_go_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = open_files()
    monkeypatch.setattr("transcripts.shelf.FILE_BYTES", 1_000)
    wanted = pieces(12)  # three to a file
    shelf = shelved(*wanted)
    assert list(tmp_path.iterdir()) == []
    found, held = [], []
    while shelf:
        held.append(len(open_files() - before))
        found.append(shelf.take())
    assert held == [4, 4, 4, 3, 3, 3, 2, 2, 2, 1, 1, 1]
    assert same(found, wanted)
    assert open_files() == before
    shelf.put(wanted[0])
    shelf.close()
    assert not shelf
    assert open_files() == before


@pytest.mark.parametrize("kept", [0, 2])
def test_a_disk_that_becomes_full_takes_all_or_nothing(
    kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = open_files()
    shelf, wanted = shelved(*pieces(kept)), pieces(kept + 1)
    room = [100, 0]

    def pwrite(file: int, data: Any, at: int, /) -> int:
        if not (size := room.pop(0)):
            raise OSError(errno.ENOSPC, "no space left")
        return written(file, data[:size], at)

    written = os.pwrite
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", pwrite)
        with pytest.raises(OSError, match="no space"):
            shelf.put(wanted[-1])
    assert len(open_files() - before) == bool(kept)
    shelf.put(wanted[-1])
    assert same([shelf.take() for _ in wanted], wanted)
    assert not shelf


def test_it_leaves_room_for_what_must_lie_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shelf = shelved(*pieces(1))
    monkeypatch.setattr("transcripts.shelf.SPARE_BYTES", 1 << 60)
    with pytest.raises(OSError, match="too little room"):
        shelf.put(pieces(2)[1])
    assert same([shelf.take()], pieces(1))
    assert not shelf


def test_a_file_that_was_cut_is_an_error() -> None:
    shelf = shelved(*pieces(2))
    os.ftruncate(shelf._files[0]._file.fileno(), 20)
    with pytest.raises(OSError, match="not there any more"):
        shelf.take()
    shelf.close()
