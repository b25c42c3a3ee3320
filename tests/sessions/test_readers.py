"""Readers: all processes' are counted, and those of a dead one are forgotten."""

from __future__ import annotations

import pytest
from django.core.cache.backends.locmem import LocMemCache
from scene import Clock, eventually

from sessions import readers
from sessions.readers import TTL_S, Readers, counts, tell


@pytest.fixture(autouse=True)
def _memory(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = LocMemCache("readers", {})
    cache.clear()
    monkeypatch.setattr(readers, "live", lambda: cache)


def test_it_adds_up_what_processes_tell() -> None:
    tell("a", {1: 2, 2: 1})
    tell("b", {1: 1})
    assert counts() == {1: 3, 2: 1}


def test_the_newest_word_of_a_process_counts() -> None:
    tell("a", {1: 2})
    tell("a", {})
    assert counts() == {}


def test_a_process_that_is_silent_has_no_readers() -> None:
    wall = Clock(1000.0)
    tell("a", {1: 2}, wall=wall)
    wall.passes(TTL_S + 1)
    assert counts(wall=wall) == {}


def test_a_cache_that_is_away_costs_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise ConnectionError

    monkeypatch.setattr(readers, "live", away)
    tell("a", {1: 1})
    assert counts() == {}


async def test_whoever_stops_reading_is_told_of_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readers, "LOOK_S", 0.01)
    here = Readers()
    with here.reading(7), here.reading(7):
        await eventually(lambda: counts() == {7: 2})
    await eventually(lambda: counts() == {})
    assert here._keeper
    await here._keeper
