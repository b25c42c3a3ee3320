"""How lines sounded: the label that weighs most while each was said."""

from __future__ import annotations

import pytest
from django.test import Client
from scene import a_session

from sessions import access, events, participants
from sessions.models import State
from transcripts.sounded import Piece, Spoken, labelled
from transcripts.utterances import Scripted, write

SECOND = 48_000


def labels(lines: list[Spoken], **pieces: list[Piece]) -> list[tuple[str, str]]:
    return [(one.line, one.label) for one in labelled(lines, pieces)]


def test_the_label_that_weighs_most_is_taken() -> None:
    heard = [
        Piece(0, 1000, "calm", 0.9),
        Piece(1000, 2000, "angry", 0.5),
        Piece(2000, 3000, "angry", 0.5),
    ]
    assert labels([Spoken("a", "ada", 0, 3000)], ada=heard) == [("a", "angry")]
    assert labels([Spoken("a", "ada", 0, 2000)], ada=heard) == [("a", "calm")]


def test_lines_that_nobody_classified_have_none() -> None:
    heard = [Piece(5000, 6000, "calm", 0.9)]
    lines = [Spoken("a", "ada", 0, 3000), Spoken("b", "ben", 5000, 6000)]
    assert labels(lines, ada=heard) == []


def test_long_and_short_lines_go_through_each_other() -> None:
    heard = [Piece(n * 1000, n * 1000 + 1000, f"l{n // 10}", 0.9) for n in range(200)]
    lines = [
        Spoken("a", "ada", 0, 9000),
        Spoken("b", "ada", 100_000, 150_000),
        Spoken("c", "ada", 101_000, 102_000),
        Spoken("d", "ada", 195_000, 260_000),
    ]
    found = dict(labels(lines, ada=heard))
    assert (found["a"], found["c"], found["d"]) == ("l0", "l10", "l19")


@pytest.mark.django_db
def test_they_are_asked_for_by_who_may_read() -> None:
    session = a_session(State.ACTIVE)
    person = participants.join(session.pk, key="ada", name="Ada", connection="c")
    write(Scripted(session.pk, person.pk, 0, SECOND, "Good morning."))
    write(Scripted(session.pk, person.pk, 5 * SECOND, 6 * SECOND, "Good night."))
    tone = {
        "participant": str(person.public_id),
        "label": "calm",
        "confidence": 0.8,
        "start_ms": 0,
        "end_ms": 1000,
        "mock": True,
    }
    events.append(session.pk, "tone", tone)
    url = f"/api/sessions/{session.public_id}/tones"
    assert Client().get(url).status_code == 401
    (line,) = Client().get(url, {"token": access.token_of(session)}).json()["lines"]
    assert (line["label"], line["mock"]) == ("calm", True)
