"""Places that processes take, and leave to the next one."""

from __future__ import annotations

import os
from pathlib import Path

from sessions import slots
from sessions.slots import Slot


def test_each_has_its_own_and_keeps_it(tmp_path: Path) -> None:
    told: list[int] = []
    one, other = (Slot(tmp_path, taken=told.append) for _ in range(2))
    assert (one.number(), other.number(), one.number()) == (0, 1, 0)
    assert told == [0, 1]
    assert list(slots.free(tmp_path)) == []


def test_a_child_takes_its_own_and_leaves_it_behind(tmp_path: Path) -> None:
    mine = Slot(tmp_path, taken=lambda _: None)
    assert mine.number() == 0
    child = os.fork()
    if not child:
        os._exit(mine.number())
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 1
    assert list(slots.free(tmp_path)) == [1]
    assert Slot(tmp_path, taken=lambda _: None).number() == 1
