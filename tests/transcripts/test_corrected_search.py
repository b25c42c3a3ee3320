"""A corrected line is found by its correction and nothing else, on both databases."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from scene import a_session
from spoken_lines import said

from sessions import participants
from sessions.models import State, VoiceSession
from transcripts import corrections, searchindex
from transcripts.models import Correction, Utterance
from transcripts.search import search

pytestmark = pytest.mark.usefixtures("either_database")


@pytest.fixture
def ada() -> User:
    user, _ = User.objects.get_or_create(username="ada")
    return user


@pytest.fixture
def talk() -> VoiceSession:
    return a_session(State.READY, title="Monday")


def found(query: str) -> list[str]:
    return ["".join(text for text, _ in hit.snippet) for hit in search(query)]


def test_the_correction_is_found_and_what_it_replaced_is_not(
    talk: VoiceSession, ada: User
) -> None:
    line = said(talk, "we need a new quay")
    corrections.correct(talk, line.public_id, "we need a new key", by=ada)
    assert found("quay ") == []
    assert found("key ") == ["we need a new key"]
    (hit,) = search("key ")
    assert [text for text, is_found in hit.snippet if is_found] == ["key"]


def test_of_two_corrections_the_newest_is_found(talk: VoiceSession, ada: User) -> None:
    line = said(talk, "first words")
    corrections.correct(talk, line.public_id, "second words", by=ada)
    corrections.correct(talk, line.public_id, "third words", by=ada)
    assert (found("first "), found("second ")) == ([], [])
    assert found("third ") == ["third words"]


def test_what_is_taken_back_is_found_as_it_was_heard(
    talk: VoiceSession, ada: User
) -> None:
    line = said(talk, "a banana")
    corrections.correct(talk, line.public_id, "an apple", by=ada)
    corrections.correct(talk, line.public_id, "a banana", by=ada)
    assert (found("apple "), found("banana ")) == ([], ["a banana"])


def test_a_line_that_is_heard_anew_keeps_its_correction(
    talk: VoiceSession, ada: User
) -> None:
    line = said(talk, "a banana")
    corrections.correct(talk, line.public_id, "an apple", by=ada)
    Utterance.objects.filter(pk=line.pk).update(text="a cherry")
    assert (found("cherry "), found("apple ")) == ([], ["an apple"])
    Correction.objects.all().delete()
    assert (found("apple "), found("cherry ")) == ([], ["a cherry"])


def test_nothing_of_it_is_found_when_the_session_is_gone(
    talk: VoiceSession, ada: User
) -> None:
    line = said(talk, "a banana")
    said(talk, "a pear")
    corrections.correct(talk, line.public_id, "an apple", by=ada)
    talk.delete()
    assert [found(word) for word in ("banana ", "apple ", "pear ")] == [[], [], []]
    _is_sound()


def test_an_index_that_is_built_anew_knows_corrections(
    talk: VoiceSession, ada: User
) -> None:
    line = said(talk, "a banana")
    corrections.correct(talk, line.public_id, "an apple", by=ada)
    searchindex.build(connection)
    assert (found("banana "), found("apple ")) == ([], ["an apple"])
    corrections.correct(talk, line.public_id, "a cherry", by=ada)
    assert (found("apple "), found("cherry ")) == ([], ["a cherry"])
    _is_sound()


def test_the_index_can_go_back_to_what_it_was_and_on_again(
    talk: VoiceSession, ada: User
) -> None:
    line = said(talk, "a banana")
    corrections.correct(talk, line.public_id, "an apple", by=ada)
    searchindex.unfollow_corrections(connection)
    searchindex.follow_corrections(connection)
    assert (found("banana "), found("apple ")) == ([], ["an apple"])
    _is_sound()


def test_a_hit_goes_by_the_name_of_whom_they_were_merged_into(
    talk: VoiceSession, ada: User
) -> None:
    line = said(talk, "a banana", name="Guest 2")
    other = said(talk, "a pear", name="Ada")
    participants.merge(
        talk, line.participant.public_id, into=other.participant.public_id, by=ada
    )
    (hit,) = search("banana ")
    assert hit.speaker == "Ada"


def _is_sound() -> None:
    """SQLite's index agrees with what it is an index of."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO transcripts_search (transcripts_search, rank) "
                "VALUES ('integrity-check', 1)"
            )
