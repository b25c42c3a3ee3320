"""Everything of one person goes, wherever it lies, and what others said stays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from decoding import as_floats
from django.apps import apps
from django.conf import settings as conf
from django.utils import timezone
from numpy.typing import NDArray
from pytest_django.fixtures import Settings
from recorded import Recorded
from rooms import spoken_by
from scene import a_user

from bot.models import Call
from sessions import bookmarks, finish, mixing, recordings, tasks
from sessions.bookmarks import Author
from sessions.models import Erasure, Participant, Source, State, Tier, VoiceSession
from sessions.storage import LocalStorage, UnreachableError
from transcripts import chores, corrections, doorbell, forgetting, utterances
from transcripts.exports import Line
from transcripts.models import Correction, Utterance

pytestmark = pytest.mark.django_db

ANN, BOB, CLEO = 7_110_000_000_001, 7_110_000_000_002, 7_110_000_000_003
NUMBER = "+49301234567"
SECRET = "a secret of hers"
Road = Erasure.Road


@pytest.fixture(autouse=True)
def here(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.DATA_DIR = tmp_path
    settings.STORAGE_DIR = tmp_path / "storage"
    settings.LOGS_DIR = tmp_path / "logs"
    settings.KEEP_ORIGINALS = True
    settings.REPORT_EMAILS = False
    for module in (recordings, finish, mixing):
        monkeypatch.setattr(module, "ring", lambda _: None)
    monkeypatch.setattr(doorbell, "ring", lambda *_, **__: True)
    return tmp_path


class Talk(Recorded):
    """Ann, Bob and Cleo talk all at once, each with a voice of their own."""

    def __init__(self) -> None:
        super().__init__(asked_by=ANN, title="A talk")
        self.ann, self.bob = self.joins(ANN, "Ann Hathaway"), self.joins(BOB, "Bob")
        self.cleo = self.joins(CLEO, "Cleo")
        for person in (self.ann, self.bob, self.cleo):
            self.sounds(person, at_s=1.0, seconds=4.0)
        self.says(self.ann, SECRET)
        self.mumbles(self.ann)
        self.says(self.bob, "good morning", at_ms=5000)

    def track(self, person: Participant) -> NDArray[np.float32]:
        """As it is in storage."""
        rows = recordings.of_tier(self.session.pk, Tier.FRAGMENT)
        (row,) = [one for one in rows if one.participant_id == person.pk]
        sound = as_floats(Path(conf.STORAGE_DIR) / row.key)
        return np.concatenate([np.zeros(row.start, sound.dtype), sound])

    @property
    def master(self) -> NDArray[np.float32]:
        (row,) = recordings.of_tier(self.session.pk, Tier.MASTER)
        return as_floats(Path(conf.STORAGE_DIR) / row.key)


def correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Of the seconds in which all of them speak: 1 is the same sound, 0 another."""
    window = slice(96_000, 192_000)
    return float(np.corrcoef(one[window], other[window])[0, 1])


def everywhere(folder: Path) -> Iterator[tuple[str, str]]:
    """All that is kept, with where: each field of each table, each object and file of
    storage, spool and logs, and their names."""
    for model in apps.get_models():
        for row in model._default_manager.order_by("pk").values():
            for field, value in row.items():
                raw = bytes(value) if isinstance(value, memoryview) else value
                text = raw.decode("latin1") if isinstance(raw, bytes) else str(raw)
                yield f"{model._meta.label}.{field}", text
    for path in folder.rglob("*"):
        if path.suffix.startswith(".sqlite3"):
            continue  # the tables are read above
        yield "a file's name", str(path.relative_to(folder))
        if path.is_file():
            yield str(path), path.read_bytes().decode("latin1")


def found(folder: Path, *what: str) -> list[str]:
    """Where any of it still is."""
    return [
        where
        for where, text in everywhere(folder)
        for one in what
        if one in text or json.dumps(one)[1:-1] in text
    ]


def erase(subject: forgetting.Subject, *, road: Erasure.Road = Road.ADMIN) -> Erasure:
    made = forgetting.ask(subject, road=road)
    assert chores.forget(made.pk)
    made.refresh_from_db()
    return made


def test_nothing_of_them_is_left_in_any_table_object_or_file(
    here: Path, either_database: None
) -> None:
    talk, other = Talk(), Talk()
    for one in (talk, other):
        one.ends()
    hers = [str(one.public_id) for one in (talk.ann, other.ann)]
    what = (str(ANN), "Ann Hathaway", SECRET)
    assert len(found(here, *what)) > 10  # the walk finds what is there
    assert found(here, *hers)
    made = erase(forgetting.of_discord(str(ANN)))
    for one in (talk, other):
        assert tasks.remix(one.session.pk)
    assert made.state == Erasure.State.DONE
    assert found(here, *what) == []
    # The row that says "somebody was here" stays, and no file of it.
    left = set(found(here, *hers))
    person = "voice_sessions.Participant"
    assert left == {f"{person}.public_id", f"{person}.key"}
    assert "good morning" in talk.transcript


def test_the_master_holds_the_others_and_not_them(here: Path) -> None:
    talk = Talk()
    talk.ends()
    voices = [talk.track(one) for one in (talk.ann, talk.bob, talk.cleo)]
    before = [correlation(talk.master, voice) for voice in voices]
    assert min(before) > 0.3
    erase(forgetting.of_discord(str(ANN)))
    assert tasks.remix(talk.session.pk)
    ann, bob, cleo = (correlation(talk.master, voice) for voice in voices)
    assert abs(ann) < 0.02
    assert min(bob, cleo) > 0.5


def test_the_receipt_counts_and_names_nobody(here: Path) -> None:
    Talk().ends()
    made = erase(forgetting.of_discord(str(ANN)))
    assert made.counts["sessions"] == 1
    assert made.counts["lines"] == 2
    assert made.counts["recordings"] >= 3
    assert (made.people, made.account) == ([], None)
    text = forgetting.receipt(made)
    assert str(made.public_id) in text
    assert "Ann" not in text
    assert str(ANN) not in text


def test_what_still_runs_is_waited_for() -> None:
    talk = Talk()
    made = forgetting.ask(forgetting.of_discord(str(ANN)), road=Road.ADMIN)
    assert not chores.forget(made.pk)
    assert SECRET in talk.words
    talk.ends()
    assert chores.forget(made.pk)
    assert SECRET not in talk.words


def test_storage_that_is_away_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    Talk().ends()
    made = forgetting.ask(forgetting.of_discord(str(ANN)), road=Road.ADMIN)

    def refuses(self: object, keys: object) -> None:
        raise UnreachableError("nobody answers")

    with monkeypatch.context() as away:
        away.setattr(LocalStorage, "delete", refuses)
        with pytest.raises(UnreachableError):
            chores.forget(made.pk)
    assert chores.forget(made.pk)


def test_who_is_done_is_not_done_again_while_others_are_waited_for() -> None:
    over, live = Talk(), Talk()
    over.ends()
    made = forgetting.ask(forgetting.of_discord(str(ANN)), road=Road.ADMIN)
    assert not chores.forget(made.pk)
    assert tasks.remix(over.session.pk)
    (master,) = recordings.of_tier(over.session.pk, Tier.MASTER)
    for _ in range(2):  # house-keeping calls again
        assert not chores.forget(made.pk)
        assert recordings.of_tier(over.session.pk, Tier.MASTER) == [master]
    made.refresh_from_db()
    assert made.sessions_done == 1
    live.session.delete()  # by a moderator: what is gone is done
    assert chores.forget(made.pk)
    made.refresh_from_db()
    assert (made.state, made.people) == (Erasure.State.DONE, [])


def test_two_workers_do_not_do_it_twice() -> None:
    Talk().ends()
    made = forgetting.ask(forgetting.of_discord(str(ANN)), road=Road.ADMIN)
    until = timezone.now() + timedelta(minutes=1)
    Erasure.objects.filter(pk=made.pk).update(leased_until=until)
    assert not chores.forget(made.pk)
    assert chores.forget(made.pk) is False
    assert forgetting.go_on(made.pk, now=until + timedelta(seconds=1))


def test_a_caller_goes_with_their_number(here: Path) -> None:
    talk = Talk()
    VoiceSession.objects.filter(pk=talk.session.pk).update(
        source=Source.PHONE, user_id=NUMBER, title=f"Call from {NUMBER}"
    )
    Participant.objects.filter(pk=talk.ann.pk).update(key="caller", name=NUMBER)
    Call.objects.create(
        uuid=talk.session.public_id,
        caller=NUMBER,
        metadata={"customer": NUMBER},
        session=talk.session,
    )
    talk.ends()
    assert found(here, NUMBER)
    erase(forgetting.of_caller(NUMBER))
    assert tasks.remix(talk.session.pk)
    assert found(here, NUMBER, SECRET) == []


def test_an_account_takes_what_was_said_with_it() -> None:
    talk, ada = Talk(), a_user("ada")
    Participant.objects.filter(pk=talk.ann.pk).update(user=ada)
    subject = forgetting.of_account(ada)
    assert subject.people == (talk.ann.pk,)
    talk.ends()
    erase(subject, road=Road.ACCOUNT)
    assert talk.words == ["good morning"]
    assert forgetting.of_account(ada).people == ()


def test_an_account_takes_its_notes_and_its_name_off_corrections() -> None:
    talk, ada = Talk(), a_user("ada")
    Participant.objects.filter(pk=talk.ann.pk).update(user=ada)
    bookmarks.take(talk.session, SECRET, by=Author("ada", ada))
    line = Utterance.objects.exclude(participant=talk.ann).get()
    corrections.correct(talk.session, line.public_id, "good evening", by=ada)
    talk.ends()
    erase(forgetting.of_account(ada), road=Road.ACCOUNT)
    assert bookmarks.of_session(talk.session) == []
    (made,) = Correction.objects.all()
    assert (made.text, made.name, made.user) == ("good evening", "", None)


def test_of_a_participant_all_that_is_known_to_be_theirs_is_meant() -> None:
    one, other = Talk(), Talk()
    subject = forgetting.of_participant(one.ann.public_id)
    assert subject.people == (one.ann.pk, other.ann.pk)
    Participant.objects.filter(pk=one.ann.pk).update(key="a-stream")
    subject = forgetting.of_participant(one.ann.public_id)
    assert subject.people == (one.ann.pk,)


def test_stop_and_forget_takes_the_words_at_once_and_the_sound_at_the_end(
    here: Path,
) -> None:
    talk = Talk()
    stream = uuid4()
    Participant.objects.filter(pk=talk.ann.pk).update(key=str(stream))
    (made,) = forgetting.stop_and_forget(talk.session, [stream])
    assert SECRET not in talk.words
    assert SECRET not in talk.log
    lines = [(one.speaker, one.text) for one in _lines(talk)]
    assert ("Ann Hathaway", "(not recorded)") in lines
    assert not chores.forget(made.pk)
    talk.ends()
    assert chores.forget(made.pk)
    assert tasks.remix(talk.session.pk)
    assert not [one for one in talk.files if str(talk.ann.public_id) in one]
    assert found(here, SECRET, "Ann Hathaway") == []
    assert ("Unknown", "(not recorded)") in [(o.speaker, o.text) for o in _lines(talk)]


def test_a_late_line_of_theirs_is_not_taken() -> None:
    talk = Talk()
    forgetting.forget_here(talk.ann)
    utterances.record(spoken_by(talk.ann, "late", at_ms=9000))
    assert not Utterance.objects.filter(participant=talk.ann).exists()


def test_nobody_is_refused() -> None:
    with pytest.raises(forgetting.NobodyError):
        forgetting.of_participant("7d9ac2f0-0000-4000-8000-000000000000")


def test_a_failed_session_is_over_too() -> None:
    talk = Talk()
    VoiceSession.objects.filter(pk=talk.session.pk).update(state=State.FAILED)
    erase(forgetting.of_discord(str(ANN)))
    assert talk.words == ["good morning"]


def _lines(talk: Talk) -> list[Line]:
    return utterances.of_session(talk.session.pk)
