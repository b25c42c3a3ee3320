"""Words of a corrected line keep the times of what stayed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from transcripts.alignment import retimed
from transcripts.exports import LineWord


def heard(text: str, *, each_ms: int = 500) -> list[LineWord]:
    """Word after word without a pause, from the first second on."""
    return [
        LineWord(word, 1000 + n * each_ms, 1000 + (n + 1) * each_ms, 0.5)
        for n, word in enumerate(text.split())
    ]


def corrected(before: str, after: str) -> list[tuple[str, int, int]]:
    words = heard(before)
    end_ms = words[-1].end_ms if words else 1000
    found = retimed(words, after, start_ms=1000, end_ms=end_ms)
    return [(one.word, one.start_ms, one.end_ms) for one in found]


def test_a_word_in_another_words_place_takes_its_time() -> None:
    assert corrected("the read house", "the red house") == [
        ("the", 1000, 1500),
        ("red", 1500, 2000),
        ("house", 2000, 2500),
    ]


def test_more_words_share_the_time_evenly() -> None:
    assert corrected("we alright now", "we all are right now")[1:4] == [
        ("all", 1500, 1666),
        ("are", 1666, 1833),
        ("right", 1833, 2000),
    ]


def test_a_word_where_no_time_is_stands_between_its_neighbours() -> None:
    assert corrected("red house", "red brick house") == [
        ("red", 1000, 1500),
        ("brick", 1500, 1500),
        ("house", 1500, 2000),
    ]


def test_case_and_signs_make_no_other_word() -> None:
    (first, second) = retimed(
        heard("hello world"), "Hello, World!", start_ms=1000, end_ms=2000
    )
    assert (first.word, first.end_ms, first.probability) == ("Hello,", 1500, 0.5)
    assert second.start_ms == 1500


def test_a_line_that_is_all_new_takes_all_of_its_time() -> None:
    assert corrected("one two", "eins zwei drei vier")[-1] == ("vier", 1750, 2000)


def test_words_that_are_left_out_leave_the_others_where_they_are() -> None:
    assert corrected("the the house", "the house")[-1] == ("house", 2000, 2500)


def test_a_line_without_times_gets_none() -> None:
    assert retimed([], "some words", start_ms=0, end_ms=1000) == ()


WORDS = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=8).map(" ".join)


@given(WORDS.filter(bool), WORDS)
def test_times_never_go_back_and_every_word_is_there(before: str, after: str) -> None:
    found = corrected(before, after)
    assert [word for word, _, _ in found] == after.split()
    edges = [edge for _, start, end in found for edge in (start, end)]
    assert edges == sorted(edges)
    assert all(1000 <= edge <= 1000 + 500 * len(before.split()) for edge in edges)
