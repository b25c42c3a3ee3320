"""The journal: what was received comes back, whatever happened to the file's end."""

from __future__ import annotations

import io

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
    assert whole.ended


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
