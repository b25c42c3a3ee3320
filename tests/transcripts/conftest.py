"""Rooms, bells and engines for the tests of transcripts."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from fake_engine import FakeEngine
from pytest_django.fixtures import Settings
from rooms import Bell, Room

from sessions import hosts
from transcripts import engines, keeper


@pytest.fixture
def bell(monkeypatch: pytest.MonkeyPatch) -> Bell:
    bell = Bell()
    monkeypatch.setattr(hosts, "put", bell.ring)
    monkeypatch.setattr(hosts, "waiting", bell.waiting)
    return bell


@pytest.fixture
def live_cache(settings: Settings) -> None:
    locmem = "django.core.cache.backends.locmem.LocMemCache"
    settings.CACHES = {
        "default": {"BACKEND": locmem},
        "live": {"BACKEND": locmem, "LOCATION": uuid.uuid4().hex},
    }


@pytest.fixture
def room(transactional_db: None, bell: Bell, live_cache: None) -> Room:
    return Room()


@pytest.fixture
def engine(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    settings.STT_ENGINE = "fake_engine.FakeEngine"
    monkeypatch.setattr(keeper, "_told", None)
    engines.loader.forget()
    made = engines.loader.load()
    assert isinstance(made, FakeEngine)
    yield made
    engines.loader.forget()
