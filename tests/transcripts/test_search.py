"""Search, on SQLite and on PostgreSQL: what was said is found, and what is gone not."""

from __future__ import annotations

import pytest
from django.db import connection
from scene import NOON, a_session
from spoken_lines import said

from sessions.models import State, VoiceSession
from transcripts import search as searching
from transcripts import searchindex
from transcripts.models import Utterance
from transcripts.search import Hit, search

pytestmark = pytest.mark.usefixtures("either_database")


def a_talk(title: str = "Monday") -> VoiceSession:
    return a_session(State.READY, title=title)


def texts(hits: list[Hit]) -> list[str]:
    return ["".join(text for text, _ in hit.snippet) for hit in hits]


def marked(hit: Hit) -> list[str]:
    return [text for text, is_found in hit.snippet if is_found]


def test_a_line_is_found_with_who_said_it_and_when() -> None:
    talk = a_talk()
    line = said(talk, "Please open the window", at_s=12)
    said(talk, "Close the door")
    (hit,) = search("window")
    assert (hit.id, hit.session, hit.title) == (
        line.public_id,
        talk.public_id,
        "Monday",
    )
    assert (hit.speaker, hit.start_ms, hit.started_at) == ("Ada", 12_000, NOON)
    assert hit.snippet == (("Please open the ", False), ("window", True))


def test_every_term_has_to_be_there_and_quoted_words_in_a_row() -> None:
    talk = a_talk()
    said(talk, "the red house by the sea")
    said(talk, "a house that is red")
    assert len(search("red house")) == 2
    assert texts(search('"red house"')) == ["the red house by the sea"]
    assert search("red boat ") == []


def test_of_a_long_line_a_part_is_shown() -> None:
    words = [f"word{n}" for n in range(100)]
    said(a_talk(), " ".join(words))
    (hit,) = search("word50 ")
    (shown,) = texts([hit])
    assert marked(hit) == ["word50"]
    assert shown.startswith("…word42 word43")
    assert shown.endswith("word65…")


def test_what_is_being_typed_is_found_by_its_beginning() -> None:
    said(a_talk(), "an embarrassment of riches")
    (hit,) = search("embarr")
    assert marked(hit) == ["embarrassment"]
    assert search("embarr ") == []


def test_case_and_accents_do_not_matter_where_the_index_knows_them() -> None:
    said(a_talk(), "Perché no?", language="it")
    assert len(search("PERCHÉ")) == 1


def test_the_newest_come_first_page_by_page() -> None:
    talk = a_talk()
    for number in range(7):
        said(talk, f"number {number} of many")
    first = search("many", most=3)
    second = search("many", most=3, before=first[-1].number)
    third = search("many", most=3, before=second[-1].number)
    found = [text.split()[1] for text in texts(first + second + third)]
    assert found == ["6", "5", "4", "3", "2", "1", "0"]


@pytest.mark.parametrize("few", [0, 400])
def test_only_the_sessions_that_are_named_are_searched(
    few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "FEW", few)
    mine, other = a_talk("mine"), a_talk("other")
    said(mine, "a secret of mine")
    said(other, "a secret of theirs")
    only = VoiceSession.objects.filter(title="mine")
    assert [hit.title for hit in search("secret", sessions=only)] == ["mine"]
    assert search("secret", sessions=VoiceSession.objects.none()) == []
    assert len(search("secret")) == 2


def test_a_line_that_changes_or_goes_is_found_as_it_is_now() -> None:
    talk = a_talk()
    line = said(talk, "")
    assert search("banana") == []
    Utterance.objects.filter(pk=line.pk).update(text="a banana")
    assert len(search("banana")) == 1
    Utterance.objects.filter(pk=line.pk).update(text="an apple")
    assert search("banana") == []
    assert len(search("apple")) == 1
    talk.delete()
    assert search("apple") == []


def test_a_deleted_session_is_found_by_nobody() -> None:
    talk = a_talk()
    said(talk, "gone for good")
    VoiceSession.objects.filter(pk=talk.pk).update(state=State.DELETED)
    assert search("good") == []


@pytest.mark.parametrize(
    "query",
    [
        "",
        '"',
        "'; DROP TABLE x; --",
        "a AND",
        "NEAR(",
        "*",
        ":",
        "text:x",
        "\x00",
        "%s",
    ],
)
def test_nothing_that_is_typed_is_an_error(query: str) -> None:
    said(a_talk(), "plain words")
    assert isinstance(search(query), list)


def test_words_are_found_by_their_stems_where_the_database_knows_them() -> None:
    said(a_talk(), "two recordings were kept")
    found = len(search("recording "))
    assert found == (1 if connection.vendor == "postgresql" else 0)


def test_the_index_is_of_all_that_was_there_before_it() -> None:
    said(a_talk(), "an old line")
    searchindex.drop(connection)
    searchindex.build(connection)
    assert len(search("old line")) == 1
    said(a_talk(), "a new line")
    assert len(search("line")) == 2


@pytest.mark.parametrize(
    ("sample", "latest", "named"),
    [(1, 1, 0), (3, 3, 0), (1, 9, 0), (3, 9, 0), (3, 3, 9), (9, 9, 9)],
)
def test_whichever_road_is_taken_the_hits_are_the_same(
    sample: int, latest: int, named: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among the latest lines, by the index of words, or by a few sessions' lines."""
    monkeypatch.setattr(searching, "SAMPLE", sample)
    monkeypatch.setattr(searching, "LATEST", latest)
    monkeypatch.setattr(searching, "NAMED", named)
    one, other = a_talk("One"), a_talk("Other")
    lines = [
        said(talk, f"{word} number {n}")
        for n in range(4)
        for talk, word in ((one, "rare"), (other, "common"), (one, "common"))
    ]
    chosen = VoiceSession.objects.filter(pk=one.pk)
    for sessions, wanted, expected in (
        (None, "common", lines[1::3] + lines[2::3]),
        (None, "rare", lines[0::3]),
        (chosen, "common", lines[2::3]),
        (chosen, "rare", lines[0::3]),
    ):
        newest_first = sorted((line.pk for line in expected), reverse=True)
        found: list[int] = []
        while page := search(
            wanted, sessions=sessions, before=found[-1] if found else None, most=3
        ):
            found += [hit.number for hit in page]
        assert found == newest_first
