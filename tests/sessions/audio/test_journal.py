"""The journal: what was received comes back, whatever happened to the file's end."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from sessions.audio import journal
from sessions.audio.frames import Frame, Placed
from sessions.audio.journal import Head, Journal, JournalError

HEAD = Head("s", "p", 1, 2, 16_000, "2026-05-04T12:00:00Z", "2026-05-04T12:00:05Z")


def a_frame(number: int) -> Frame:
    return Frame(np.full(320, number, "<i2"), 16_000, 5 + number * 0.02)


def written(*, frames: int = 10, placed: int = 10, ended: bool = True) -> bytes:
    data = journal.head(HEAD)
    for number in range(frames):
        data += journal.sound(number, a_frame(number))
        if number < placed:
            data += journal.placed(number, 240_000 + number * 960, dropped=0)
    return data + (journal.end() if ended else b"")


def read(data: bytes) -> list[Placed]:
    return list(Journal(io.BytesIO(data)).placed())


def numbers(pieces: list[Placed]) -> list[int]:
    return [int(piece.pcm[0]) for piece in pieces]


def test_what_was_written_comes_back() -> None:
    whole = Journal(io.BytesIO(written()))
    assert whole.head == HEAD
    pieces = list(whole.placed())
    assert [p.position for p in pieces] == [240_000 + n * 960 for n in range(10)]
    assert numbers(pieces) == list(range(10))


def test_it_says_whether_all_of_it_was_heard() -> None:
    assert journal.is_concluded(io.BytesIO(written()))
    for data in (written(ended=False), written()[:-1], b"", journal.MARK):
        assert not journal.is_concluded(io.BytesIO(data))


def test_every_torn_end_costs_the_torn_record_and_nothing_else() -> None:
    data = written(ended=False)
    starts = [i for i in range(len(data)) if data.startswith(journal.MARK, i)]
    first = len(journal.head(HEAD))
    ends = [end_of_sound(number) for number in range(10)]
    for cut in range(first, len(data), 7):
        sounds = sum(1 for end in ends if end <= cut)
        assert numbers(read(data[:cut])) == list(range(sounds)), cut
    assert len(starts) >= 21


def end_of_sound(number: int) -> int:
    """Where the record of a frame's sound ends in `written`."""
    return len(written(frames=number, placed=number, ended=False)) + len(
        journal.sound(number, a_frame(number))
    )


def test_sound_that_was_never_placed_stands_behind_the_rest() -> None:
    pieces = read(written(placed=6, ended=False))
    assert [p.position for p in pieces] == [240_000 + n * 960 for n in range(10)]
    young = read(written(frames=3, placed=0, ended=False))
    assert [p.position for p in young] == [240_000 - 960 + n * 960 for n in range(3)]


def test_zeros_take_no_room_and_come_back_as_they_were() -> None:
    silent = Frame(np.zeros(960, "<i2"), 16_000, 5.0, skipped=7)
    data = journal.head(HEAD) + journal.sound(0, silent)
    assert len(data) < len(journal.head(HEAD)) + 40
    last = journal.sound(1, a_frame(1))
    (zeros, _) = read(data + journal.placed(0, 4_800, dropped=2) + last)
    assert (zeros.position, len(zeros.pcm)) == (4_800, 958)
    assert not zeros.pcm.any()
    (unplaced, behind) = read(data + last)
    assert behind.position == unplaced.end


def test_what_drift_took_out_stays_out() -> None:
    data = journal.head(HEAD) + journal.sound(0, a_frame(1))
    data += journal.placed(0, 960, dropped=3)
    (piece,) = read(data)
    assert len(piece.pcm) == 317


@pytest.mark.parametrize("at", [100, 400, 1100, 2000])
def test_damage_in_the_middle_costs_only_what_it_touches(at: int) -> None:
    data = bytearray(written())
    hurt = len(journal.head(HEAD)) + at
    data[hurt] ^= 0x5A
    pieces = read(bytes(data))
    assert len(pieces) >= 9
    assert all(p.position == 240_000 + int(p.pcm[0]) * 960 for p in pieces)


@pytest.mark.parametrize("data", [b"", b"RIFF", b"\xf5J", bytes(5000), journal.end()])
def test_what_is_no_journal_is_refused(data: bytes) -> None:
    with pytest.raises(JournalError):
        Journal(io.BytesIO(data))


def test_a_long_journal_is_read_in_little_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Four megabytes here; three hours of 48 kHz are a gigabyte."""
    monkeypatch.setattr(journal, "BLOCK", 1 << 18)
    loud = Frame(np.full(30_000, 7, "<i2"), 16_000, 1.0)
    file = io.BytesIO()
    file.write(journal.head(HEAD))
    for number in range(70):
        file.write(journal.sound(number, loud))
        file.write(journal.placed(number, number * 90_000, dropped=0))
    file.seek(0)
    tracemalloc.start()
    try:
        samples = sum(len(piece.pcm) for piece in Journal(file).placed())
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert samples == 70 * 30_000
    assert most < 6 * journal.BLOCK


def test_sound_without_places_does_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(journal, "HELD_MAX", 10_000)
    data = written(frames=100, placed=0) + journal.placed(3, 0, dropped=0)
    pieces = Journal(io.BytesIO(data)).placed()
    first = next(pieces)
    assert (first.position, int(first.pcm[0])) == (240_000 - 960, 0)
    rest = list(pieces)
    assert numbers(rest) == list(range(1, 100))
    assert rest[-1].end == 240_000 - 960 + 100 * 960


def test_a_file_made_of_beginnings_does_not_take_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each of them says that it is long, so that all the rest has to be checked."""
    checked = 0

    def crc32(data: bytes) -> int:
        nonlocal checked
        checked += len(data)
        return zlib.crc32(data)

    one = journal.MARK + struct.pack("<BIIqI", *b"S", 0, journal.LARGEST, 0, 0)
    data = journal.head(HEAD) + one * 20_000
    monkeypatch.setattr(journal, "VAIN", 1 << 20)
    monkeypatch.setattr(journal, "zlib", SimpleNamespace(crc32=crc32))
    assert not read(data)
    assert checked < 40 * len(data) + (1 << 20)


def test_a_place_that_cannot_be_is_none() -> None:
    """Nobody's sound is let grow to a year of silence, or stand upon itself."""
    data = journal.head(HEAD)
    for number, at in enumerate([960, 1 << 60, -5, 3 * 960 + 6]):
        data += journal.sound(number, a_frame(number))
        data += journal.placed(number, at, dropped=0)
    pieces = read(data)
    assert [p.position for p in pieces] == [960, 1920, 2880, 3840]
    assert numbers(pieces) == list(range(4))
    assert [len(p.pcm) for p in pieces] == [320, 320, 320, 2]


@pytest.mark.parametrize(
    "changed",
    [
        {"rate": 0},
        {"rate": 44_100},
        {"rate": "fast"},
        {"codec": "midi"},
        {"started_at": "soon"},
        {"started_at": None},
    ],
)
def test_a_head_that_makes_no_sense_is_refused(changed: dict[str, object]) -> None:
    data = journal.head(replace(HEAD, **changed))  # type: ignore[arg-type]
    with pytest.raises(JournalError):
        Journal(io.BytesIO(data))


def test_a_head_that_is_nested_without_end_is_refused() -> None:
    deep = b"[" * 100_000
    fields = journal.MARK + struct.pack("<BIIqI", journal.HEAD, 0, len(deep), 0, 0)
    data = fields + deep + struct.pack("<I", zlib.crc32(fields + deep))
    with pytest.raises(JournalError):
        Journal(io.BytesIO(data))
