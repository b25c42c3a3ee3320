"""Flashes: the newest value for some seconds, and never an error."""

from __future__ import annotations

import pytest
from django.core.cache.backends.locmem import LocMemCache

from sessions import bell, flashes
from sessions.events import Event


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> LocMemCache:
    made = LocMemCache("flashes", {})
    made.clear()
    monkeypatch.setattr(flashes, "live", lambda: made)
    return made


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    rings: list[int] = []
    monkeypatch.setattr(bell, "ring", rings.append)
    return rings


class Broken:
    def set(self, *_: object) -> None:
        raise OSError("No space left on device")

    def get_many(self, *_: object) -> None:
        raise ConnectionError("Redis is away")


def test_the_newest_of_each_key_stands(cache: LocMemCache, rung: list[int]) -> None:
    flashes.show(1, "speech", "speech", {"behind_s": 1.0})
    flashes.show(1, "speech", "speech", {"behind_s": 2.0})
    flashes.show(1, "partial:7", "partial", {"rev": 1})
    flashes.show(2, "speech", "speech", {"behind_s": 9.0})
    assert flashes.current(1, ["speech", "partial:7", "partial:8"]) == {
        "speech": Event(0, "speech", {"behind_s": 2.0}),
        "partial:7": Event(0, "partial", {"rev": 1}),
    }
    assert rung == [1, 1, 1, 2]


def test_what_is_stale_is_gone(cache: LocMemCache) -> None:
    flashes.show(1, "speech", "speech", {})
    cache.touch("flash:1:speech", 0)
    assert flashes.current(1, ["speech"]) == {}


def test_an_absent_cache_costs_only_itself(
    monkeypatch: pytest.MonkeyPatch, rung: list[int]
) -> None:
    monkeypatch.setattr(flashes, "live", Broken)
    flashes.show(1, "speech", "speech", {})
    assert flashes.current(1, ["speech"]) == {}
    assert rung == []
