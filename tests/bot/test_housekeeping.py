"""House-keeping makes every one of its rounds, and goes on after one that failed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from bot import housekeeping


class Rounds:
    """Counts the rounds; stops the house-keeping when each was made `enough` times."""

    def __init__(self, *, enough: int = 1) -> None:
        self.made: dict[str, int] = {}
        self.stop = asyncio.Event()
        self._enough = enough

    def named(self, name: str, *, fails: bool = False) -> Callable[[], Awaitable[None]]:
        self.made[name] = 0

        async def make() -> None:
            self.made[name] += 1
            if min(self.made.values()) >= self._enough:
                self.stop.set()
            if fails:
                raise OSError

        return make


pytestmark = pytest.mark.django_db  # its rounds look after connections


async def test_it_makes_every_round(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = Rounds()
    reap = rounds.named("reap")
    monkeypatch.setattr(housekeeping, "Reaping", lambda: reap)
    monkeypatch.setattr(housekeeping, "sweep", rounds.named("sweep"))
    monkeypatch.setattr(housekeeping, "tidy", rounds.named("tidy"))
    await asyncio.wait_for(housekeeping.keep_house(rounds.stop), 10)
    assert rounds.made == {"reap": 1, "sweep": 1, "tidy": 1}


async def test_a_round_that_failed_is_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rounds = Rounds(enough=2)
    fails = rounds.named("sweep", fails=True)
    await asyncio.wait_for(housekeeping._every(0.001, fails, rounds.stop), 10)
    assert rounds.made == {"sweep": 2}
