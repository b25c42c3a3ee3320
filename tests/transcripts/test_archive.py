"""The transcript lies beside the master, and is never that of another text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings
from scene import a_session

from sessions.models import Recording, State, VoiceSession
from sessions.storage import LocalStorage, Stored, UnreachableError
from transcripts import archive
from transcripts.models import Utterance, UtteranceState

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def here(tmp_path: Path, settings: Settings) -> Path:
    settings.STORAGE_DIR = tmp_path
    return tmp_path


def a_line(session: VoiceSession, text: str) -> Utterance:
    return Utterance.objects.create(
        session=session,
        participant=session.participants.create(key="a", name="Ada"),
        start=48_000,
        end=96_000,
        audio_start=48_000,
        state=UtteranceState.DONE,
        text=text,
    )


def stored(here: Path, session: VoiceSession, suffix: str) -> str:
    name = f"transcript-{session.public_id}.{suffix}"
    path = here / "recordings" / str(session.public_id) / name
    return path.read_text("utf-8")


def test_it_is_stored_as_text_and_as_lines(here: Path) -> None:
    session = a_session(State.FINISHING)
    a_line(session, "hello team")
    assert archive.store(session.pk)
    assert "hello team" in stored(here, session, "txt")
    assert json.loads(stored(here, session, "jsonl"))["text"] == "hello team"
    assert {row.state for row in Recording.objects.all()} == {"stored"}


def test_a_corrected_text_takes_its_place(here: Path) -> None:
    session = a_session(State.FINISHING)
    line = a_line(session, "hello team")
    archive.store(session.pk)
    line.text = "yellow team"
    line.save()
    archive.store(session.pk)
    assert "yellow team" in stored(here, session, "txt")
    assert Recording.objects.count() == 2


def test_what_is_not_to_be_kept_is_not_stored(here: Path) -> None:
    session = a_session(State.FINISHING, record=False)
    a_line(session, "hello team")
    assert archive.store(session.pk)
    assert not list(here.rglob("*.txt"))


def test_it_waits_for_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    session = a_session(State.FINISHING)
    a_line(session, "hello team")

    def refuses(self: object, key: str, path: Path, *, content_type: str) -> None:
        raise UnreachableError("nobody answers")

    monkeypatch.setattr(LocalStorage, "replace", refuses)
    assert not archive.store(session.pk)


def test_words_that_go_while_they_are_stored_do_not_outlive_that(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = a_session(State.FINISHING)
    line = a_line(session, "hello team")
    replace = LocalStorage.replace

    def meanwhile(self: LocalStorage, key: str, path: Path, **how: str) -> Stored:
        Utterance.objects.filter(pk=line.pk).delete()
        return replace(self, key, path, **how)

    monkeypatch.setattr(LocalStorage, "replace", meanwhile)
    assert archive.store(session.pk)
    assert not list(here.rglob("transcript-*"))
    assert not Recording.objects.exists()


def test_a_text_that_is_corrected_while_it_is_stored_is_stored_again(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = a_session(State.FINISHING)
    line = a_line(session, "hello team")
    replace = LocalStorage.replace

    def meanwhile(self: LocalStorage, key: str, path: Path, **how: str) -> Stored:
        Utterance.objects.filter(pk=line.pk).update(text="yellow team")
        return replace(self, key, path, **how)

    monkeypatch.setattr(LocalStorage, "replace", meanwhile)
    assert archive.store(session.pk)
    assert "yellow team" in stored(here, session, "txt")
