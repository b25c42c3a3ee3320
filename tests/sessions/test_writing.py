"""Writing without letting go of the interpreter is writing as ever."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from sessions.capture.writing import write

pytestmark = pytest.mark.pure


def test_every_byte_arrives(tmp_path: Path) -> None:
    data = bytes(range(256)) * 100
    with (tmp_path / "file").open("wb") as file:
        assert write(file.fileno(), data) == len(data)
        assert write(file.fileno(), b"") == 0
    assert (tmp_path / "file").read_bytes() == data


def test_what_does_not_fit_is_told() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    taken = write(writing, bytes(1 << 20))
    assert 0 < taken < 1 << 20
    with pytest.raises(BlockingIOError):
        write(writing, b"more")
    os.close(reading)
    os.close(writing)


def test_an_error_has_its_number() -> None:
    with pytest.raises(OSError, match="Bad file descriptor") as e:
        write(-1, b"x")
    assert e.value.errno == errno.EBADF
