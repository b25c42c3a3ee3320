"""The health of a recording: trouble is told while it stands, and its end once."""

from __future__ import annotations

import pytest
from scene import Clock, eventually

from sessions import flashes
from sessions.capture.health import AGAIN_S, Health


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    heard: list[str] = []

    def show(session_id: int, key: str, type_: str, data: dict[str, str]) -> None:
        assert (session_id, key, type_) == (7, "health", "health")
        heard.append(data["recording"])

    monkeypatch.setattr(flashes, "show", show)
    return heard


async def test_trouble_is_told_once_and_again_while_it_stands(told: list[str]) -> None:
    clock = Clock()
    health = Health(7, clock=clock)
    health.is_now("disk")
    health.is_now("disk")
    await eventually(lambda: told == ["disk"])
    clock.passes(AGAIN_S)
    health.is_now("disk")
    await eventually(lambda: told == ["disk", "disk"])
    health.is_now("")
    await eventually(lambda: told == ["disk", "disk", "ok"])


async def test_where_all_is_well_nothing_is_told(told: list[str]) -> None:
    clock = Clock()
    health = Health(7, clock=clock)
    for _ in range(3):
        health.is_now("")
        clock.passes(AGAIN_S)
    health.is_now("later")
    await eventually(lambda: told == ["later"])
