"""Corrections: who may, what is kept, and that every reader sees them."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings
from rooms import Bell
from scene import a_moderator, a_session, a_user
from spoken_lines import said

from sessions import access, events, recordings
from sessions.models import Recording, State, VoiceSession
from sessions.storage import storage
from transcripts import archive, corrections, doorbell, exports, tasks, utterances
from transcripts.models import Correction, Utterance

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return a_user("ada")


@pytest.fixture
def talk(ada: User) -> VoiceSession:
    return a_session(State.READY, title="Monday", owner=ada)


@pytest.fixture
def line(talk: VoiceSession) -> Utterance:
    row = said(talk, "the read house", at_s=1)
    words = [["the", 1000, 1200, 0.9], ["read", 1200, 1500, 0.4]]
    row.words = [*words, ["house", 1600, 2000, 0.9]]
    row.save()
    return row


def address(line: Utterance, more: str = "") -> str:
    return f"/api/sessions/{line.session.public_id}/utterances/{line.public_id}{more}"


def patch(client: Client, line: Utterance, text: object, **headers: str) -> Any:
    body = json.dumps({"text": text})
    return client.patch(address(line), body, "application/json", headers=headers)


def test_the_owner_corrects_a_line(client: Client, line: Utterance, ada: User) -> None:
    client.force_login(ada)
    answer = patch(client, line, "  the red\nhouse ")
    assert answer.status_code == 200
    told = answer.json()
    assert told.pop("corrected_at")
    assert told == {
        "id": str(line.public_id),
        "text": "the red house",
        "original": "the read house",
        "corrected_by": "ada",
    }


def test_the_same_text_as_was_heard_takes_it_back(
    client: Client, line: Utterance, ada: User
) -> None:
    client.force_login(ada)
    patch(client, line, "the red house")
    told = patch(client, line, "the read house").json()
    assert told == {
        "id": str(line.public_id),
        "text": "the read house",
        "original": None,
        "corrected_by": None,
        "corrected_at": None,
    }
    (shown,) = utterances.of_session(line.session_id)
    assert (shown.text, shown.original) == ("the read house", None)


def test_the_history_begins_with_what_the_model_heard(
    client: Client, line: Utterance, ada: User
) -> None:
    client.force_login(ada)
    for text in ("the red house", "the red mouse", "the read house"):
        patch(client, line, text)
    told = client.get(address(line, "/history")).json()
    assert [(one["text"], one["by"]) for one in told] == [
        ("the read house", None),
        ("the red house", "ada"),
        ("the red mouse", "ada"),
        ("the read house", "ada"),
    ]
    assert [one["at"] for one in told[1:]] == sorted(one["at"] for one in told[1:])


def test_the_same_correction_twice_is_one(talk: VoiceSession, ada: User) -> None:
    line = said(talk, "a banana")
    for _ in range(2):
        corrections.correct(talk, line.public_id, "an apple", by=ada)
    assert Correction.objects.count() == 1
    types = [event.type for event in events.replay(talk.pk, after=0)]
    assert types == [corrections.CORRECTED]


@pytest.mark.parametrize(
    ("text", "code"), [("", "empty"), (" \n\x00", "empty"), ("a" * 2001, "too_long")]
)
def test_a_text_that_is_none_is_refused(
    client: Client, line: Utterance, ada: User, text: str, code: str
) -> None:
    client.force_login(ada)
    answer = patch(client, line, text)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert not Correction.objects.exists()


def test_a_line_of_another_session_is_not_there(
    client: Client, line: Utterance, ada: User
) -> None:
    client.force_login(ada)
    other = said(a_session(State.READY, owner=a_user("ben")), "secret")
    line.public_id = other.public_id
    assert patch(client, line, "anything").status_code == 404
    bad = f"/api/sessions/{line.session.public_id}/utterances/none/history"
    assert client.get(bad).status_code == 404


def test_who_only_has_the_link_reads_and_corrects_nothing(
    client: Client, line: Utterance
) -> None:
    token = access.token_of(line.session)
    answer = patch(client, line, "mine", Authorization=f"Bearer {token}")
    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")
    assert client.get(address(line, f"/history?token={token}")).status_code == 200


def test_strangers_are_refused_and_moderators_not(
    client: Client, line: Utterance
) -> None:
    assert patch(client, line, "mine").status_code == 401
    client.force_login(a_user("eve"))
    assert patch(client, line, "mine").status_code in (403, 404)
    client.force_login(a_moderator("mo"))
    assert patch(client, line, "better").json()["corrected_by"] == "mo"


def test_every_export_has_the_correction(line: Utterance, ada: User) -> None:
    corrections.correct(line.session, line.public_id, "the red house", by=ada)
    lines = utterances.of_session(line.session_id)
    for name, kind in exports.FORMATS.items():
        text = kind.write(lines)
        assert "the red house" in text, name
        # JSON keeps what was heard beside it.
        assert ("read" in text) == name.startswith("json"), name
    (told,) = json.loads(exports.json_(lines))["lines"]
    assert told["original"] == "the read house"
    assert [(w["word"], w["start_ms"], w["end_ms"]) for w in told["words"]] == [
        ("the", 1000, 1200),
        ("red", 1200, 1600),
        ("house", 1600, 2000),
    ]


def test_a_correction_is_told_to_open_pages(line: Utterance, ada: User) -> None:
    corrections.correct(line.session, line.public_id, "the red house", by=ada)
    (told,) = events.replay(line.session_id, after=0)
    assert told.type == "utterance.corrected"
    assert told.data["id"] == str(line.public_id)
    assert told.data["participant"] == str(line.participant.public_id)
    assert (told.data["text"], told.data["original"]) == (
        "the red house",
        "the read house",
    )
    assert "ada" not in json.dumps(told.data)


def test_a_transcript_costs_the_same_however_much_was_corrected(
    talk: VoiceSession, ada: User
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            utterances.of_session(talk.pk)
        return len(asked)

    made = [said(talk, f"line {n}", at_s=n, name=f"P{n}") for n in range(6)]
    before = queries()
    for row in made:
        corrections.correct(talk, row.public_id, "better", by=ada)
    assert queries() == before


@pytest.fixture
def stored(talk: VoiceSession, tmp_path: Path, settings: Settings) -> VoiceSession:
    """A session whose transcript is in storage."""
    settings.DATA_DIR = tmp_path
    settings.STORAGE_DIR = tmp_path / "storage"
    said(talk, "a banana")
    assert archive.store(talk.pk)
    return talk


def kept(session: VoiceSession) -> str:
    row = recordings.of_tier(session.pk, "transcript")  # type: ignore[arg-type]
    key = next(one.key for one in row if one.key.endswith("txt"))
    return storage().read(key, start=0, stop=10_000).decode()


def test_the_stored_transcript_follows_after_a_while(
    stored: VoiceSession, ada: User, bell: Bell
) -> None:
    line = Utterance.objects.get()
    assert archive.stale(now=timezone.now()) == set()
    before = timezone.now() - timedelta(minutes=5)
    Recording.objects.update(stored_at=before)
    corrections.correct(stored, line.public_id, "an apple", by=ada)
    now = timezone.now()
    assert archive.stale(now=now) == set(), "more may come"
    later = now + archive.REST
    assert archive.stale(now=later) == {stored.pk}
    assert archive.ring(now=later) == 1
    assert tasks.archive_again(stored.pk)
    assert "an apple" in kept(stored)
    assert "banana" not in kept(stored)


def test_what_was_stored_long_after_the_last_correction_is_left_alone(
    stored: VoiceSession, ada: User
) -> None:
    line = Utterance.objects.get()
    before = timezone.now() - timedelta(minutes=5)
    corrections.correct(stored, line.public_id, "an apple", by=ada, now=before)
    assert archive.stale(now=timezone.now()) == set()


def test_no_bell_is_rung_while_others_are_unheard(
    stored: VoiceSession, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doorbell, "waiting", lambda cluster: 3)
    line = Utterance.objects.get()
    corrections.correct(stored, line.public_id, "an apple", by=ada)
    assert archive.ring(now=timezone.now() + archive.REST) == 0


def test_a_session_that_is_gone_needs_no_archive() -> None:
    assert tasks.archive_again(0)
