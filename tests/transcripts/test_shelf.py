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
    shelf, first, second = Shelf(), pieces(5), pieces(4, first=9)
    assert not shelf
    assert shelf.take() is None
    shelf.put(first)
    found = [shelf.take(), shelf.take()]
    shelf.put(second)
    found += [shelf.take() for _ in range(7)]
    assert same(found, first + second)
    assert not shelf


def open_files() -> set[str]:
    """Those of this process that have no name."""
    files = list(Path("/proc/self/fd").iterdir())
    targets = {str(one.readlink()) for one in files if one.is_symlink()}
    return {one for one in targets if one.endswith("(deleted)")}


def test_its_file_has_no_name_and_is_gone_when_nothing_waits(tmp_path: Path) -> None:
    before, shelf = open_files(), Shelf()
    shelf.put(pieces(3))
    assert list(tmp_path.iterdir()) == []
    assert len(open_files() - before) == 1
    while shelf:
        shelf.take()
    assert open_files() == before
    shelf.put(pieces(1))
    shelf.close()
    assert not shelf
    assert open_files() == before


def test_a_disk_that_becomes_full_takes_all_or_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shelf, kept, more = Shelf(), pieces(2), pieces(3, first=5)
    shelf.put(kept)
    room = [100, 0]

    def pwrite(file: int, data: Any, at: int, /) -> int:
        if not (size := room.pop(0)):
            raise OSError(errno.ENOSPC, "no space left")
        return written(file, data[:size], at)

    written = os.pwrite
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", pwrite)
        with pytest.raises(OSError, match="no space"):
            shelf.put(more)
    shelf.put(more)
    assert same([shelf.take() for _ in range(5)], kept + more)
    assert not shelf


def test_a_file_that_was_cut_is_an_error() -> None:
    shelf = Shelf()
    shelf.put(pieces(2))
    os.ftruncate(shelf._opened(), 20)
    with pytest.raises(OSError, match="not there any more"):
        shelf.take()
    shelf.close()
