"""What one person said goes from the database, the log and the transcript."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from pytest_django.fixtures import Settings
from recorded import Recorded

from sessions import bookmarks, events, finish, mixing, participants, recordings
from sessions.bookmarks import Author
from sessions.models import Naming, Participant, State, VoiceSession
from sessions.storage import LocalStorage, UnreachableError
from transcripts import corrections, erasing
from transcripts.models import Correction, Utterance

pytestmark = pytest.mark.django_db

ANN, BOB = 7_110_000_000_001, 7_110_000_000_002


@pytest.fixture(autouse=True)
def here(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.DATA_DIR = tmp_path
    settings.STORAGE_DIR = tmp_path / "storage"
    settings.LOGS_DIR = tmp_path / "logs"
    for module in (recordings, finish, mixing):
        monkeypatch.setattr(module, "ring", lambda _: None)
    return tmp_path


class Two(Recorded):
    """Ann and Bob talk; some of Ann's words nobody could write down."""

    def __init__(self) -> None:
        super().__init__()
        self.ann, self.bob = self.joins(ANN, "Ann"), self.joins(BOB, "Bob")
        for person in (self.ann, self.bob):
            who = {"participant": str(person.public_id), "name": person.name}
            events.append(self.session.pk, "participant", who | {"present": True})
            events.append(self.session.pk, "tone", who | {"label": "calm"})
        self.says(self.ann, "a secret")
        self.mumbles(self.ann)
        self.says(self.bob, "good morning", at_ms=5000)
        self.mumbles(self.bob)

    def person(self) -> Participant:
        return Participant.objects.select_related("session").get(pk=self.ann.pk)

    def types(self) -> list[str]:
        return [one.type for one in events.replay(self.session.pk, after=0)]


@pytest.fixture
def talk() -> Two:
    return Two()


def test_a_worker_is_called_to_mix_the_others_anew(
    talk: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[int] = []
    monkeypatch.setattr(mixing, "ring", rung.append)
    talk.sounds(talk.bob, at_s=5.0)
    talk.ends()
    assert erasing.erase(talk.person())
    assert rung == [talk.session.pk]


def test_their_words_go_and_those_of_others_stay(talk: Two) -> None:
    talk.ends()
    assert "a secret" in talk.transcript
    assert erasing.erase(talk.person())
    assert talk.words == ["good morning"]
    assert "good morning" in talk.transcript
    assert "a secret" not in talk.transcript
    assert set(Utterance.objects.values_list("participant", flat=True)) == {talk.bob.pk}


def test_the_log_knows_them_no_more(talk: Two) -> None:
    talk.ends()
    erasing.erase(talk.person())
    assert "Ann" not in talk.log
    assert str(talk.ann.public_id) not in talk.log
    assert "Bob" in talk.log
    assert talk.types().count("notice") == 1


def test_the_log_says_that_something_was_taken_out_of_it(talk: Two) -> None:
    session = talk.ends()
    erasing.erase(talk.person())
    (said,) = events.replay(session.pk, after=session.last_seq)[:1]
    assert (said.type, said.data) == ("erased", {})


def test_a_second_time_nothing_is_said(talk: Two) -> None:
    talk.ends()
    erasing.erase(talk.person())
    erasing.erase(talk.person())
    assert talk.types().count("erased") == 1


def test_their_name_goes(talk: Two) -> None:
    talk.ends()
    erasing.erase(talk.person())
    person = talk.person()
    assert person.name == participants.UNKNOWN
    assert person.is_erased
    participants.forget(person)
    assert str(ANN) not in talk.person().key


def test_a_transcript_without_a_line_is_none(talk: Two) -> None:
    Utterance.objects.filter(participant=talk.bob).delete()
    talk.ends()
    assert erasing.erase(talk.person())
    assert talk.transcript == ""
    assert talk.files == set()


@pytest.mark.parametrize("state", [State.ACTIVE, State.FINISHING])
def test_it_waits_for_the_end_of_the_session(talk: Two, state: State) -> None:
    if state == State.FINISHING:
        talk.stops()
    assert not erasing.erase(talk.person())
    assert "a secret" in talk.words
    assert not talk.person().is_erased


def test_words_go_though_storage_is_away(
    talk: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk.ends()

    def refuses(self: object, keys: object) -> None:
        raise UnreachableError("nobody answers")

    monkeypatch.setattr(LocalStorage, "delete", refuses)
    with pytest.raises(UnreachableError):
        erasing.erase(talk.person())
    assert talk.words == ["good morning"]


def test_it_is_not_done_before_the_transcript_is_stored_anew(
    talk: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk.ends()

    def refuses(self: object, key: str, path: Path, *, content_type: str) -> None:
        raise UnreachableError("nobody answers")

    with monkeypatch.context() as away:
        away.setattr(LocalStorage, "replace", refuses)
        assert not erasing.erase(talk.person())
    assert erasing.erase(talk.person())
    assert "good morning" in talk.transcript


def test_a_failed_session_is_over_too(talk: Two) -> None:
    VoiceSession.objects.filter(pk=talk.session.pk).update(state=State.FAILED)
    assert erasing.erase(talk.person())
    assert talk.words == ["good morning"]


def test_what_was_made_of_their_words_and_their_notes_go_too(talk: Two) -> None:
    session = talk.ends()
    owner = User.objects.create_user("owner")
    for line in Utterance.objects.exclude(text=""):
        corrections.correct(session, line.public_id, f"{line.text}!", by=owner)
    for person in (talk.ann, talk.bob):
        by = Author(person.name, key=person.key)
        bookmarks.take(session, "a note", by=by, at_ms=1)
    participants.rename(session, talk.ann.public_id, "Anne Lister", by=owner)
    assert erasing.erase(talk.person())
    assert [row.text for row in Correction.objects.all()] == ["good morning!"]
    assert [row.name for row in bookmarks.of_session(session)] == ["Bob"]
    assert "Anne" not in talk.log
    assert "secret" not in talk.log
    assert not Naming.objects.exists()
    assert talk.words == ["good morning!"]
    assert "good morning!" in talk.transcript
