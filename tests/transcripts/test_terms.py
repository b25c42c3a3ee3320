"""What is typed into a search: words, and words in a row."""

from __future__ import annotations

import pytest

from transcripts.terms import LONGEST, MOST, Term, terms


def test_words_are_terms_and_quoted_ones_stand_in_a_row() -> None:
    assert terms('open "the window" now') == (
        Term(("open",)),
        Term(("the", "window")),
        Term(("now",), is_begun=True),
    )


def test_the_last_word_may_be_a_beginning_until_something_follows_it() -> None:
    assert terms("win")[-1].is_begun
    assert not terms("win ")[-1].is_begun
    assert not terms('"win"')[-1].is_begun
    assert not terms("wi")[-1].is_begun, "too short: half of everything begins so"


def test_signs_are_not_searched_for() -> None:
    assert terms("don't!") == (Term(("don", "t")),)
    assert terms("* OR ( NEAR/3 ) ^ -:") == (
        Term(("OR",)),
        Term(("NEAR", "3")),
    )


@pytest.mark.parametrize("query", ["", "   ", '""', "—!?", '"'])
def test_nothing_to_search_for_is_nothing(query: str) -> None:
    assert terms(query) == ()


def test_an_open_quote_is_closed_by_the_end() -> None:
    assert terms('"the window') == (Term(("the", "window"), is_begun=True),)


def test_a_search_has_an_end() -> None:
    assert len(terms("word " * 100)) == MOST
    assert len(str(terms("x" * 10_000)[0])) == LONGEST
