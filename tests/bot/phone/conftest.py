"""A phone server that says nothing and keeps no file."""

from __future__ import annotations

from pathlib import Path

import pytest
from answering import Ears
from pytest_django.fixtures import Settings

from bot.phone import tracks
from bot.voice import owntrack
from sessions import finish


@pytest.fixture
def ears(monkeypatch: pytest.MonkeyPatch) -> Ears:
    made = Ears()
    monkeypatch.setattr(tracks, "open_sinks", made)
    monkeypatch.setattr(owntrack, "record", lambda _: None)
    monkeypatch.setattr(finish, "ring", lambda _: None)
    monkeypatch.setattr(finish, "OTHERS_DEADLINE_S", 0.2)
    return made


@pytest.fixture
def quiet(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    settings.TTS, settings.RESPONDER, settings.REDIS_URL = "none", "none", ""
