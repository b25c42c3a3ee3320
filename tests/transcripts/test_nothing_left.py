"""A session with recording off leaves nothing of what was said, whatever its source."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.apps import apps
from pytest_django.fixtures import Settings
from recorded import Recorded

from sessions import finish, mixing, recordings, spool
from sessions.models import Source, VoiceSession

pytestmark = pytest.mark.django_db

SECRET = "nobody is to know this"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.DATA_DIR = tmp_path
    settings.STORAGE_DIR = tmp_path / "storage"
    settings.LOGS_DIR = tmp_path / "logs"
    settings.KEEP_ORIGINALS = True
    for module in (recordings, finish, mixing):
        monkeypatch.setattr(module, "ring", lambda _: None)
    return tmp_path


def rows_that_hold(text: str) -> list[str]:
    return [
        f"{model._meta.label}.{field}"
        for model in apps.get_models()
        for row in model._default_manager.order_by("pk").values()
        for field, value in row.items()
        if text in str(value)
    ]


def files_that_hold(folder: Path, text: str) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in files if text.encode() in path.read_bytes()]


@pytest.mark.parametrize("source", Source.values)
def test_no_word_and_no_sound_is_left(source: str, here: Path) -> None:
    talk = Recorded(record=False)
    VoiceSession.objects.filter(pk=talk.session.pk).update(source=source)
    ann = talk.joins(1, "Ann")
    talk.sounds(ann, at_s=1.0)
    talk.says(ann, SECRET)
    talk.mumbles(ann)
    assert rows_that_hold(SECRET)
    assert files_that_hold(here, SECRET)
    talk.ends()
    assert rows_that_hold(SECRET) == []
    assert files_that_hold(here, SECRET) == []
    assert not spool.folders(talk.session.public_id)
    assert talk.files == set()
    assert not [path for path in (here / "storage").rglob("*.*") if path.is_file()]
    for model in ("transcripts.Utterance", "voice_sessions.Recording"):
        assert not apps.get_model(model)._default_manager.exists()
