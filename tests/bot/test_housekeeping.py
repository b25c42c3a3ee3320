"""House-keeping makes every one of its rounds, and goes on after one that failed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from channels.db import database_sync_to_async
from django.utils import timezone
from scene import counted

from bot import housekeeping
from bot.models import Call
from bot.phone import calls
from sessions import reaper


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
    reap, recover = rounds.named("reap"), rounds.named("recover")
    monkeypatch.setattr(housekeeping, "Reaping", lambda: reap)
    monkeypatch.setattr(housekeeping, "Recovering", lambda: recover)
    monkeypatch.setattr(housekeeping, "sweep", rounds.named("sweep"))
    for name in ("archive", "tidy", "retain"):
        monkeypatch.setattr(housekeeping, name, rounds.named(name))
    await asyncio.wait_for(housekeeping.keep_house(rounds.stop), 10)
    names = ("reap", "sweep", "archive", "tidy", "recover", "retain")
    assert rounds.made == dict.fromkeys(names, 1)


async def test_a_round_that_failed_is_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rounds = Rounds(enough=2)
    fails = rounds.named("sweep", fails=True)
    await asyncio.wait_for(housekeeping._every(0.001, fails, rounds.stop), 10)
    assert rounds.made == {"sweep": 2}


async def test_what_it_puts_right_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def figures() -> list[float]:
        names = "orphans_found_total", "orphans_healed_total"
        return [counted(n, kind=kind) for n in names for kind in ("session", "person")]

    async def cycle(**_: object) -> reaper.Reaped:
        return reaper.Reaped(idle=[1], half_ended=[2], rung=[], gone=3)

    monkeypatch.setattr(reaper, "cycle", cycle)
    before = figures()
    await housekeeping.Reaping()()
    more = [after - one for after, one in zip(figures(), before, strict=True)]
    assert more == [2, 3, 2, 3]


@pytest.mark.django_db(transaction=True)
async def test_an_announced_call_that_never_came_is_forgotten_after_a_day() -> None:
    in_db = database_sync_to_async
    old, new, came = (calls.Registration(uuid4()) for _ in range(3))
    for announced in (old, new, came):
        await in_db(calls.register)(announced, user=None)
    await in_db(calls.answer)(came.uuid, strict=True)
    day_ago = timezone.now() - calls.UNUSED_FOR
    long_ago = Call.objects.exclude(uuid=new.uuid)
    await long_ago.aupdate(created_at=day_ago - timedelta(seconds=1))
    await Call.objects.filter(uuid=new.uuid).aupdate(
        created_at=day_ago + timedelta(minutes=1)
    )
    await housekeeping.retain()
    left = {one.uuid async for one in Call.objects.all()}
    assert left == {new.uuid, came.uuid}


class Reaper:
    """Takes down from when on it may judge; fails when told to."""

    def __init__(self) -> None:
        self.watched_since: list[datetime | None] = []
        self.fails = False

    async def __call__(
        self, *, now: datetime, watched_since: datetime | None
    ) -> reaper.Reaped:
        if self.fails:
            raise OSError
        self.watched_since.append(watched_since)
        return reaper.Reaped([], [], [], 0)


async def test_after_a_round_that_failed_everybody_gets_the_whole_idle_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = Reaper()
    monkeypatch.setattr(reaper, "cycle", asked)
    noon = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
    minutes = iter(range(60))
    reaping = housekeeping.Reaping(
        clock=lambda: noon + timedelta(minutes=next(minutes))
    )
    await reaping()
    await reaping()
    asked.fails = True
    with pytest.raises(OSError):
        await reaping()
    asked.fails = False
    await reaping()
    await reaping()
    returned = noon + timedelta(minutes=3)
    assert asked.watched_since == [noon, noon, returned, returned]
