"""What is heard a second time is written down once, whole."""

from __future__ import annotations

from uuid import uuid4

import numpy as np
import pytest

from transcripts.spoken import SCALE, Spoken

MS = 48


def spoken(start_ms: int, end_ms: int, *, around_ms: int = 0) -> Spoken:
    """Each sample of its sound is the number of its millisecond."""
    heard = np.arange(start_ms - around_ms, end_ms + around_ms, dtype="<i2")
    sound = np.repeat(heard, 16).tobytes()
    begin = (start_ms - around_ms) * MS
    return Spoken(uuid4(), 1, 1, start_ms * MS, end_ms * MS, begin, sound)


def rows(*known_ms: tuple[int, int]) -> list[tuple[int, int]]:
    return [(start * MS, end * MS) for start, end in known_ms]


def sound_ms(one: Spoken) -> tuple[int, int]:
    heard = np.frombuffer(one.audio, "<i2")
    assert one.audio_start == int(heard[0]) * MS
    begin, end = int(heard[0]), int(heard[-1]) + 1
    assert len(heard) == (end - begin) * MS // SCALE
    return begin, end


def test_what_nobody_knows_is_kept_as_it_is() -> None:
    one = spoken(1000, 2000, around_ms=300)
    assert one.beside([]) == one
    assert one.beside(rows((0, 1000), (2000, 3000))) == one


@pytest.mark.parametrize(
    "known", [[(1000, 2000)], [(900, 1500), (1500, 2100)], [(1000, 1850)]]
)
def test_what_is_known_is_not_kept_again(known: list[tuple[int, int]]) -> None:
    assert spoken(1000, 2000).beside(rows(*known)) is None


@pytest.mark.parametrize("begin_ms", [900, 1000, 1150])
def test_of_a_phrase_in_which_the_line_broke_the_rest_is_kept(begin_ms: int) -> None:
    """The one connection heard its beginning, the next one all of it."""
    rest = spoken(1000, 3000, around_ms=200).beside(rows((begin_ms, 1900)))
    assert rest is not None
    assert (rest.start, rest.end) == (1900 * MS, 3000 * MS)
    assert sound_ms(rest) == (1900, 3200)


def test_of_a_phrase_whose_end_is_known_the_beginning_is_kept() -> None:
    rest = spoken(1000, 3000, around_ms=200).beside(rows((2500, 3300)))
    assert rest is not None
    assert (rest.start, rest.end) == (1000 * MS, 2500 * MS)
    assert sound_ms(rest) == (800, 2500)


def test_what_is_known_in_its_midst_is_kept_with_it() -> None:
    """Nothing is lost: rather a word twice."""
    one = spoken(1000, 3000)
    assert one.beside(rows((1800, 2100))) == one
