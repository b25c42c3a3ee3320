"""Words go when their days are over; the session's row says so."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings
from recorded import Recorded

from sessions import finish, keeping, mixing, recordings
from sessions.models import VoiceSession
from sessions.storage import LocalStorage, UnreachableError
from transcripts import expiring
from transcripts.models import Utterance

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def here(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.DATA_DIR = tmp_path
    settings.STORAGE_DIR = tmp_path / "storage"
    settings.LOGS_DIR = tmp_path / "logs"
    settings.KEEP_TRANSCRIPTS_DAYS = 10
    for module in (recordings, finish, mixing):
        monkeypatch.setattr(module, "ring", lambda _: None)
    return tmp_path


@pytest.fixture
def talk() -> Recorded:
    talk = Recorded()
    ann = talk.joins(1, "Ann")
    talk.sounds(ann, at_s=1.0)
    talk.says(ann, "a secret")
    talk.mumbles(ann)
    talk.ends()
    return talk


def after(days: float) -> int:
    return expiring.sweep(now=timezone.now() + timedelta(days=days))


def test_words_are_deleted_wherever_they_are(talk: Recorded, here: Path) -> None:
    assert after(9) == 0
    assert talk.words == ["a secret"]
    assert after(11) == 1
    assert not Utterance.objects.exists()
    assert "secret" not in talk.log
    assert not [one for one in talk.files if one.startswith("transcript")]
    files = [path for path in here.rglob("*") if path.is_file()]
    assert not [path for path in files if b"a secret" in path.read_bytes()]


def test_the_session_says_so_and_its_sound_stays(talk: Recorded) -> None:
    after(11)
    talk.session.refresh_from_db()
    told = keeping.sentence(keeping.of(talk.session))
    assert "text deleted on" in told
    assert "master all" in talk.files
    assert '"what": "words"' in talk.log
    assert after(12) == 0


def test_what_is_kept_on_request_stays(talk: Recorded) -> None:
    keeping.decide(talk.session, keep=True)
    assert after(9000) == 0
    assert talk.words == ["a secret"]


def test_sound_that_nobody_could_write_down_goes_with_the_sound(
    talk: Recorded, settings: Settings
) -> None:
    settings.KEEP_TRANSCRIPTS_DAYS = 0
    assert Utterance.objects.filter(audio__isnull=False).exists()
    now = timezone.now()
    VoiceSession.objects.filter(pk=talk.session.pk).update(sound_deleted_at=now)
    after(0)
    assert not Utterance.objects.filter(audio__isnull=False).exists()
    assert talk.words == ["a secret"]


def test_a_transcript_that_storage_would_not_let_go_goes_the_next_time(
    talk: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(self: object, keys: object) -> None:
        raise UnreachableError("nobody answers")

    with monkeypatch.context() as away:
        away.setattr(LocalStorage, "delete", refuses)
        with pytest.raises(UnreachableError):
            after(11)
    assert not Utterance.objects.exists()
    after(12)
    assert not [one for one in talk.files if one.startswith("transcript")]


def test_whoever_keeps_it_in_the_same_moment_comes_first_or_last(
    talk: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget = expiring._forget

    def keeps_first(session: VoiceSession, *, now: datetime) -> bool:
        keeping.decide(session, keep=True)
        return forget(session, now=now)

    monkeypatch.setattr(expiring, "_forget", keeps_first)
    assert after(11) == 0
    assert talk.words == ["a secret"]
