"""Writing down again: from the stored sound; old words stay until all are new."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from fake_engine import FakeEngine
from pytest_django.fixtures import Settings
from recorded import Recorded
from rooms import Bell, Room
from scene import a_user

from sessions import events, finish, jobs, mixing, recordings
from sessions.models import Job, Recording
from transcripts import again, corrections, engines, keeper, tasks, utterances
from transcripts.models import Rewriting, Utterance, UtteranceState
from transcripts.recognised import Recognised, Word
from transcripts.weights import ModelMissingError

pytestmark = pytest.mark.django_db

ANN, BOB = 7_110_000_000_001, 7_110_000_000_002


class Counting(FakeEngine):
    """Hears how long the sound is, and in which language it is to hear."""

    def __init__(self, model: str = "own") -> None:
        super().__init__()
        if model == "none":
            raise ModelMissingError("Speech model 'none': its folder does not exist.")
        self.model = model

    def final(self, audio: bytes, *, language: str) -> Recognised:
        said = f"{self.model} {language or 'any'}"
        words = tuple(Word(word, 0.5, 0.9, 0.9) for word in said.split())
        self.heard.append(f"{len(audio) / 32_000:.1f}")
        return Recognised(
            text=said, words=words, language=language or "en", confidence=0.5
        )


@pytest.fixture(autouse=True)
def here(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, bell: Bell
) -> Iterator[Path]:
    settings.DATA_DIR = tmp_path
    settings.STORAGE_DIR = tmp_path / "storage"
    settings.LOGS_DIR = tmp_path / "logs"
    settings.STT_ENGINE = f"{__name__}.Counting"
    monkeypatch.setattr(engines, "import_string", lambda _: Counting)
    for module in (recordings, finish, mixing, jobs):
        monkeypatch.setattr(module, "ring", lambda _: None)
    engines.other.forget()
    yield tmp_path
    engines.other.forget()


class Deaf(Counting):
    """Hears nothing."""

    def final(self, audio: bytes, *, language: str) -> Recognised:
        return Recognised(text="", words=(), language="en", confidence=0.0)


class Talk(Recorded):
    """Ann is heard in the seconds 1 to 3, Bob in 5 to 7; and what was understood."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)
        self.ann, self.bob = self.joins(ANN, "Ann"), self.joins(BOB, "Bob")
        self.sounds(self.ann, at_s=1.0)
        self.sounds(self.bob, at_s=5.0)
        self.first = self.says(self.ann, "good mourning", at_ms=1200)
        self.second = self.says(self.bob, "too you", at_ms=5200)
        Utterance.objects.update(attempts=1)
        self.ends()

    def texts(self) -> list[str]:
        return [line.text for line in utterances.of_session(self.session.pk)]


@pytest.fixture
def talk() -> Talk:
    return Talk()


def ask(talk: Talk, **options: Any) -> Job:
    job = jobs.ask("again", [talk.session.pk], options=options)
    jobs.work(job.pk)
    return job


def goes_on(job: Job) -> Job:
    """A moment later."""
    past = timezone.now() - timedelta(minutes=1)
    Job.objects.filter(pk=job.pk).update(lease_until=past)
    jobs.work(job.pk)
    job.refresh_from_db()
    return job


def listen(worker: Counting | None = None) -> int:
    worker = worker or Counting()
    count = 0
    while again.one("host:1:1", worker):
        count += 1
    return count


def test_the_old_words_stay_until_all_new_ones_are_there(talk: Talk) -> None:
    job = ask(talk)
    assert again.one("host:1:1", Counting())
    assert goes_on(job).state == Job.State.WAITING
    assert talk.texts() == ["good mourning", "too you"]
    assert listen() == 1
    assert goes_on(job).state == Job.State.DONE
    assert job.failures == []
    assert talk.texts() == ["own any", "own any"]
    assert not Rewriting.objects.exists()


def test_it_is_the_stored_sound_of_each_line_that_is_heard(talk: Talk) -> None:
    ask(talk)
    worker = Counting()
    assert listen(worker) == 2
    spans = [line.end - line.audio_start for line in (talk.first, talk.second)]
    expected = [f"{span / 48_000 + again.BEHIND_MS / 1000:.1f}" for span in spans]
    assert worker.heard == expected


def test_another_model_and_another_language_are_used(talk: Talk) -> None:
    job = ask(talk, model="medium", language="de")
    listen()
    goes_on(job)
    assert talk.texts() == ["medium de", "medium de"]
    line = Utterance.objects.get(pk=talk.first.pk)
    assert (line.language, line.confidence, line.state) == ("de", 0.5, "done")
    start_ms = talk.first.start // 48
    assert all(word[1] >= start_ms for word in line.words)


def test_readers_of_the_log_see_the_new_words_in_their_place(talk: Talk) -> None:
    before = [one.seq for one in _told(talk)]
    job = ask(talk)
    listen()
    goes_on(job)
    after = _told(talk)
    assert [one.seq for one in after] == before, "in place of the old ones"
    assert [one.data["text"] for one in after] == ["own any", "own any"]
    assert events.replay(talk.session.pk, after=0)[-1].type == events.ERASED


def _told(talk: Talk) -> list[events.Event]:
    log = events.replay(talk.session.pk, after=0)
    return [one for one in log if one.type == "utterance"]


def test_the_transcript_in_storage_is_the_new_one(talk: Talk, here: Path) -> None:
    job = ask(talk)
    listen()
    goes_on(job)
    (stored,) = (here / "storage").rglob("*.txt")
    assert "own any" in stored.read_text("utf-8")


def test_what_a_person_wrote_stays_where_nothing_is_heard(talk: Talk) -> None:
    ada = a_user("ada")
    corrections.correct(talk.session, talk.first.public_id, "Good morning!", by=ada)
    job = ask(talk)
    assert listen(Deaf()) == 2
    goes_on(job)
    assert talk.texts() == ["Good morning!"]


def test_a_line_whose_sound_is_gone_keeps_its_words(talk: Talk, here: Path) -> None:
    for path in (here / "storage").rglob(f"*{talk.ann.public_id}*"):
        if path.is_file():
            path.unlink()
    job = ask(talk)
    listen()
    assert goes_on(job).state == Job.State.DONE
    assert talk.texts() == ["good mourning", "own any"]
    assert job.failures[0][1].startswith("One line keeps its old words: ")


def test_a_model_that_is_not_there_changes_nothing_and_is_told(talk: Talk) -> None:
    job = ask(talk, model="none")
    listen()
    goes_on(job)
    assert talk.texts() == ["good mourning", "too you"]
    assert "its folder does not exist" in job.failures[0][1]


def test_what_we_said_ourselves_is_not_listened_to(talk: Talk) -> None:
    Utterance.objects.filter(pk=talk.first.pk).update(attempts=0)
    job = ask(talk)
    assert listen() == 1
    goes_on(job)
    assert talk.texts() == ["good mourning", "own any"]


def test_a_session_without_sound_is_refused() -> None:
    talk = Talk(record=False)
    job = goes_on(ask(talk))
    assert "not recorded" in job.failures[0][1]


def test_what_is_being_said_comes_before_what_was(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Counting()
    monkeypatch.setattr(keeper, "engine", lambda: worker)
    ask(talk)
    live = Room()
    live.hears(live.joins("Chen"), "now")
    assert tasks.drain() == 1
    assert worker.heard[0] == "1.0", "Chen's"
    assert len(worker.heard) == 3


def test_a_worker_that_dies_leaves_the_line_to_another(talk: Talk) -> None:
    ask(talk)
    row = again._claim("host:1:1")
    assert row is not None
    assert listen() == 1, "the other line"
    past = timezone.now() - timedelta(minutes=10)
    Rewriting.objects.filter(pk=row.pk).update(lease_until=past)
    assert listen() == 1
    assert not Rewriting.objects.filter(state=UtteranceState.CLAIMED).exists()


def test_what_was_cancelled_is_not_listened_to_and_gives_way_to_the_next(
    talk: Talk,
) -> None:
    jobs.cancel(ask(talk).pk)
    assert listen() == 0
    job = ask(talk, language="fr")
    assert listen() == 2
    goes_on(job)
    assert talk.texts() == ["own fr", "own fr"]


def test_two_at_once_do_not_mix(talk: Talk) -> None:
    first = ask(talk)
    second = goes_on(ask(talk, language="fr"))
    assert "Another job" in second.failures[0][1]
    listen()
    goes_on(first)
    assert talk.texts() == ["own any", "own any"]


def test_nothing_of_the_sound_is_changed(talk: Talk) -> None:
    before = set(Recording.objects.exclude(tier="transcript").values_list("key", "md5"))
    job = ask(talk)
    listen()
    goes_on(job)
    rows = Recording.objects.exclude(tier="transcript")
    assert set(rows.values_list("key", "md5")) == before
