"""With recording off, nothing that was said outlives the session."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django.fixtures import Settings
from rooms import Room

from sessions import events, finish, lifecycle
from sessions.models import State, VoiceSession
from transcripts import unrecorded
from transcripts.models import Utterance, UtteranceState


@pytest.fixture
def talk(room: Room) -> Room:
    """A conversation with one line of text, a tone and a fault, and its end begun."""
    alice = room.joins("Alice")
    row = room.hears(alice, "a secret")
    Utterance.objects.filter(pk=row.pk).update(
        state=UtteranceState.DONE, text="a secret", audio=None
    )
    for type_ in ("participant", "utterance", "tone", "notice"):
        events.append(room.session.pk, type_, {"text": "a secret"})
    lifecycle.advance(room.session.pk, State.FINISHING)
    return room


def without_recording(room: Room) -> None:
    VoiceSession.objects.filter(pk=room.session.pk).update(record=False)


def types(room: Room) -> list[str]:
    return [event.type for event in events.replay(room.session.pk, after=0)]


def test_without_recording_nothing_said_is_left_before_it_is_ready(talk: Room) -> None:
    without_recording(talk)
    assert finish.complete(talk.session.pk)
    assert types(talk) == ["participant", "state", "state"]
    assert not Utterance.objects.exists()


def test_with_recording_everything_stays(talk: Room) -> None:
    assert finish.complete(talk.session.pk)
    assert Utterance.objects.count() == 1
    assert set(types(talk)) >= {"utterance", "tone", "notice"}


def test_it_waits_for_the_last_words_before_it_forgets(talk: Room) -> None:
    without_recording(talk)
    Utterance.objects.update(state=UtteranceState.PENDING)
    assert not finish.complete(talk.session.pk)
    assert Utterance.objects.count() == 1


def test_forgetting_twice_is_once(talk: Room) -> None:
    without_recording(talk)
    assert unrecorded.forget(talk.session.pk)
    assert unrecorded.forget(talk.session.pk)
    assert "utterance" not in types(talk)


def test_numbers_go_on_behind_what_was_forgotten(talk: Room) -> None:
    without_recording(talk)
    before = VoiceSession.objects.get(pk=talk.session.pk).last_seq
    finish.complete(talk.session.pk)
    assert events.replay(talk.session.pk, after=0)[-1].seq == before + 1


@pytest.fixture
def lines(talk: Room, settings: Settings, tmp_path: Path) -> Path:
    """What a bot that died had written down beside the database."""
    settings.LOGS_DIR = tmp_path
    path = tmp_path / "lines" / f"{talk.session.public_id}.jsonl"
    path.parent.mkdir()
    path.write_text('{"seq": 1, "text": "a secret"}\n')
    return path


def test_the_lines_of_a_bot_that_died_go_too(talk: Room, lines: Path) -> None:
    without_recording(talk)
    assert finish.complete(talk.session.pk)
    assert not lines.exists()


def test_with_recording_the_lines_stay(talk: Room, lines: Path) -> None:
    assert finish.complete(talk.session.pk)
    assert lines.exists()


def test_it_is_not_ready_while_the_disk_keeps_a_line(talk: Room, lines: Path) -> None:
    without_recording(talk)
    lines.unlink()
    (lines / "x").mkdir(parents=True)  # no file: it cannot be unlinked
    assert not finish.complete(talk.session.pk)
    (lines / "x").rmdir()
    lines.rmdir()
    assert finish.complete(talk.session.pk)
