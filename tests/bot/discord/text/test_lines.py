"""The lines of a session: read from events, kept in a file."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from bot.discord.text.lines import Line, LineLog, forget, line_of
from sessions.events import Event

SESSION = UUID("11111111-2222-3333-4444-555555555555")
ANN = "aaaaaaaa-2222-3333-4444-555555555555"
SAID: dict[str, Any] = {
    "id": "bbbbbbbb-2222-3333-4444-555555555555",
    "participant": ANN,
    "name": "Ann",
    "start_ms": 1000,
    "end_ms": 2500,
    "text": "Доброго дня.",
    "words": [],
    "language": "uk",
    "confidence": 0.9,
}


def a_line(seq: int, text: str = "Good day.", **more: Any) -> Line:
    return Line(seq, ANN, "Ann", text, seq * 1000, seq * 1000 + 500, **more)


def kept(folder: Path) -> list[dict[str, Any]]:
    text = (folder / f"{SESSION}.jsonl").read_text(encoding="utf-8")
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def seqs(folder: Path) -> list[int]:
    return [line["seq"] for line in kept(folder)]


class Disk:
    """A disk that is full when told so: then half of what is written arrives."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_full = False
        self._write = os.write
        monkeypatch.setattr(os, "write", self.write)

    def write(self, file: int, data: bytes) -> int:
        if not self.is_full:
            return self._write(file, data)
        if len(data) > 1:
            return self._write(file, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_an_utterance_is_a_line() -> None:
    line = line_of(Event(7, "utterance", SAID))
    assert line == Line(7, ANN, "Ann", "Доброго дня.", 1000, 2500, language="uk")


@pytest.mark.parametrize("type_", ["partial", "notice", "participant", "state"])
def test_no_other_event_is_a_line(type_: str) -> None:
    assert line_of(Event(7, type_, SAID)) is None


def test_each_line_is_one_object_and_there_at_once(tmp_path: Path) -> None:
    with LineLog(tmp_path, SESSION) as log:
        log.write(a_line(3, "Доброго\nдня.", language="uk"))
        assert kept(tmp_path) == [
            {
                "seq": 3,
                "start_ms": 3000,
                "end_ms": 3500,
                "participant": ANN,
                "name": "Ann",
                "text": "Доброго\nдня.",
                "language": "uk",
            }
        ]
        log.write(a_line(4))
        assert "language" not in kept(tmp_path)[1]


def test_nobody_else_on_the_machine_can_read_it(tmp_path: Path) -> None:
    with LineLog(tmp_path / "lines", SESSION) as log:
        log.write(a_line(1))
    (path,) = (tmp_path / "lines").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_what_is_told_twice_is_written_once(tmp_path: Path) -> None:
    with LineLog(tmp_path, SESSION) as log:
        for seq in (1, 2, 2, 1, 5):
            log.write(a_line(seq))
    assert seqs(tmp_path) == [1, 2, 5]


@pytest.mark.parametrize(
    "torn",
    [b"", b'{"seq":3,"te', b'{"seq":3}', b"\0\0\0\n", b"[]\n", b'{"seq":"x"}\n{"s'],
)
def test_after_a_crash_it_goes_on_behind_its_last_whole_line(
    tmp_path: Path, torn: bytes
) -> None:
    with LineLog(tmp_path, SESSION) as log:
        log.write(a_line(1))
        log.write(a_line(2))
    with (tmp_path / f"{SESSION}.jsonl").open("ab") as file:
        file.write(torn)
    with LineLog(tmp_path, SESSION) as log:
        assert log.last_seq == 2
        for seq in (1, 2, 3, 4):
            log.write(a_line(seq))
    assert seqs(tmp_path) == [1, 2, 3, 4]


def test_a_file_without_a_whole_line_begins_anew(tmp_path: Path) -> None:
    (tmp_path / f"{SESSION}.jsonl").write_bytes(b'{"seq":1')
    with LineLog(tmp_path, SESSION) as log:
        assert log.last_seq == 0
        log.write(a_line(1))
    assert seqs(tmp_path) == [1]


@pytest.mark.parametrize("keep", [True, False])
def test_the_end_of_the_block_keeps_it_or_not(tmp_path: Path, keep: bool) -> None:
    def a_session_that_dies() -> None:
        with LineLog(tmp_path, SESSION, keep=keep) as log:
            log.write(a_line(1))
            raise KeyError

    with pytest.raises(KeyError):
        a_session_that_dies()
    assert (tmp_path / f"{SESSION}.jsonl").exists() is keep


def test_closing_twice_is_closing_once(tmp_path: Path) -> None:
    with LineLog(tmp_path, SESSION) as log:
        log.write(a_line(1))
        log.close(keep=True)
        log.close(keep=True)
        assert seqs(tmp_path) == [1]
        log.close(keep=False)
        log.close(keep=False)
        log.write(a_line(2))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_once_and_later_it_is_all_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    with capture_logs() as logs, LineLog(tmp_path, SESSION) as log:
        log.write(a_line(1))
        disk.is_full = True
        log.write(a_line(2))
        log.write(a_line(3))
        assert seqs(tmp_path) == [1]
        disk.is_full = False
        log.write(a_line(4))
    assert seqs(tmp_path) == [1, 2, 3, 4]
    assert [entry["event"] for entry in logs] == ["lines.not_written"]
    assert "Good day" not in str(logs)


def test_a_folder_that_cannot_be_made_costs_only_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with capture_logs() as logs, LineLog(tmp_path / "file", SESSION) as log:
        log.write(a_line(1))
    assert [entry["event"] for entry in logs] == ["lines.not_written"]


def test_it_is_not_written_through_a_link(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"theirs")
    (tmp_path / f"{SESSION}.jsonl").symlink_to(elsewhere)
    with LineLog(tmp_path, SESSION) as log:
        log.write(a_line(1))
    assert elsewhere.read_bytes() == b"theirs"


def test_a_session_that_is_deleted_is_forgotten(tmp_path: Path) -> None:
    with LineLog(tmp_path, SESSION) as log:
        log.write(a_line(1))
    forget(tmp_path, SESSION)
    forget(tmp_path, SESSION)
    assert list(tmp_path.iterdir()) == []
