"""The feed: every line once and in order, to everybody, whatever happens around it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.core.cache.backends.locmem import LocMemCache
from django.db import OperationalError
from pytest_django.fixtures import Settings
from scene import a_session, counted, eventually

from sessions import events, flashes, measures, queries
from sessions import feed as feed_module
from sessions.events import Event
from sessions.feed import TAIL, Feed
from sessions.models import VoiceSession

pytestmark = pytest.mark.django_db(transaction=True)

in_db = database_sync_to_async


@pytest.fixture(autouse=True)
def _quick(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.POLL_S = 0.01
    cache = LocMemCache("feed", {})
    cache.clear()
    monkeypatch.setattr(flashes, "live", lambda: cache)


@pytest.fixture
async def session() -> VoiceSession:
    return await in_db(a_session)()


@in_db
def write(session: VoiceSession, count: int) -> None:
    for _ in range(count):
        events.append(session.pk, "utterance", {})


class Reader:
    """Somebody who follows, from wherever they were when they broke off."""

    def __init__(
        self, feed: Feed, session: VoiceSession, *, after: int = 0, passing: bool = True
    ) -> None:
        self.feed = feed
        self.wants_passing = passing
        self.session = session
        self.after = after
        self.seen: list[int] = []
        self.passing: list[Event] = []
        self.task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        after = self.seen[-1] if self.seen else self.after
        stream = self.feed.follow(
            self.session.pk, after=after, passing=self.wants_passing
        )
        try:
            async for event in stream:
                if event.seq:
                    self.seen.append(event.seq)
                else:
                    self.passing.append(event)
        finally:
            await stream.aclose()

    async def break_off(self) -> None:
        assert self.task is not None
        self.task.cancel()
        await asyncio.wait([self.task])

    async def has(self, last: int) -> None:
        await eventually(lambda: self.seen and self.seen[-1] >= last)


@asynccontextmanager
async def following(
    feed: Feed, session: VoiceSession, *, after: int = 0, passing: bool = True
) -> AsyncIterator[Reader]:
    reader = Reader(feed, session, after=after, passing=passing)
    reader.begin()
    try:
        yield reader
    finally:
        await reader.break_off()


async def test_fifty_breaks_at_random_cost_no_line_and_repeat_none(
    session: VoiceSession,
) -> None:
    feed, dice = Feed(), random.Random(7)
    total = 600

    async def talk() -> None:
        while (await in_db(queries.heads)([session.pk]))[session.pk] < total:
            await write(session, dice.randrange(1, 12))

    restless = Reader(feed, session)
    async with following(feed, session) as stayed:
        talking = asyncio.create_task(talk())
        for _ in range(50):
            restless.begin()
            await asyncio.sleep(dice.choice((0, 0, 0.005, 0.02)))
            await restless.break_off()
        await talking
        restless.begin()
        await asyncio.gather(stayed.has(total), restless.has(total))
    await restless.break_off()
    assert stayed.seen == list(range(1, len(stayed.seen) + 1))
    assert restless.seen == stayed.seen
    assert feed.followed() == set()


async def test_how_late_it_tells_is_measured(
    session: VoiceSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measures, "is_shared", True)
    feed, before = Feed(), counted("feed_lag_seconds_count")
    await write(session, 1)
    async with following(feed, session) as reader:
        await reader.has(1)
        await write(session, 2)
        await reader.has(3)
    assert counted("feed_lag_seconds_count") > before


@pytest.mark.parametrize(
    ("stored", "after"),
    [(TAIL - 1, 0), (TAIL, 0), (TAIL + 1, 0), (TAIL + 1, 1), (2 * TAIL + 3, 2), (9, 9)],
)
async def test_it_replays_from_anywhere(
    session: VoiceSession, stored: int, after: int
) -> None:
    feed = Feed()
    await write(session, stored)
    async with following(feed, session, after=after) as reader:
        if stored > after:
            await reader.has(stored)
        await write(session, 2)
        await reader.has(stored + 2)
    assert reader.seen == list(range(after + 1, stored + 3))


async def test_one_who_comes_late_gets_all_beside_one_who_is_there(
    session: VoiceSession,
) -> None:
    feed = Feed()
    async with following(feed, session) as first:
        await write(session, TAIL + 50)
        await first.has(TAIL + 50)
        async with following(feed, session, after=3) as late:
            await write(session, 5)
            await late.has(TAIL + 55)
    assert late.seen == list(range(4, TAIL + 56))
    assert first.seen == list(range(1, TAIL + 56))


async def test_a_number_from_the_future_hears_what_comes_after_it(
    session: VoiceSession,
) -> None:
    feed = Feed()
    await write(session, 3)
    async with following(feed, session, after=5) as reader:
        await write(session, 4)
        await reader.has(7)
    assert reader.seen == [6, 7]


@pytest.mark.parametrize("told_by", ["state", "erased"])
async def test_what_was_forgotten_is_shown_to_nobody_and_holds_nobody_up(
    session: VoiceSession, told_by: str
) -> None:
    feed = Feed()
    await write(session, 20)
    async with following(feed, session) as there:
        await there.has(20)
        await in_db(session.events.filter(seq__gt=5).delete)()
        await in_db(events.append)(session.pk, told_by, {"state": "ready"})
        await there.has(21)
        async with following(feed, session) as late:
            await late.has(21)
    assert late.seen == [1, 2, 3, 4, 5, 21]


async def test_a_hundred_followers_cost_one_query(
    session: VoiceSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    heads = queries.heads

    def counted(ids: Any) -> dict[int, int]:
        looks.append(len(list(ids)))
        return heads(ids)

    async def no_reading(*_: object) -> list[Event]:
        raise AssertionError("a follower read by itself")

    feed = Feed()
    await write(session, 5)
    readers = [Reader(feed, session) for _ in range(100)]
    monkeypatch.setattr(queries, "heads", counted)
    monkeypatch.setattr(feed_module, "_read", no_reading)
    for reader in readers:
        reader.begin()
    await asyncio.gather(*(reader.has(5) for reader in readers))
    assert set(looks) == {1}
    await asyncio.gather(*(reader.break_off() for reader in readers))
    await eventually(lambda: feed._reader is not None and feed._reader.done())
    assert feed.followed() == set()


async def test_sessions_do_not_hear_each_other(session: VoiceSession) -> None:
    feed, other = Feed(), await in_db(a_session)()
    async with following(feed, session) as one, following(feed, other) as two:
        assert await eventually(lambda: feed.followed() == {session.pk, other.pk})
        await write(session, 3)
        await write(other, 2)
        await asyncio.gather(one.has(3), two.has(2))
        await asyncio.sleep(0.05)
    assert (one.seen, two.seen) == ([1, 2, 3], [1, 2])


async def test_passing_ones_come_change_and_are_not_repeated(
    session: VoiceSession,
) -> None:
    feed = Feed()
    await write(session, 1)
    show = in_db(flashes.show)
    async with following(feed, session) as reader:
        await reader.has(1)
        for behind_s in (1.0, 1.0, 2.0):
            await show(session.pk, "speech", "speech", {"behind_s": behind_s})
            await asyncio.sleep(0.05)
        await eventually(lambda: len(reader.passing) >= 2)
        async with following(feed, session, after=1) as late:
            await eventually(lambda: late.passing)
    assert [e.data["behind_s"] for e in reader.passing] == [1.0, 2.0]
    assert [e.data["behind_s"] for e in late.passing] == [2.0]


async def test_who_wants_only_what_is_stored_costs_no_question_of_what_passes(
    session: VoiceSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []
    current = flashes.current

    def noted(session_id: int, keys: list[str]) -> dict[str, Event]:
        asked.append(keys)
        return current(session_id, keys)

    monkeypatch.setattr(flashes, "current", noted)
    feed = Feed()
    await in_db(flashes.show)(session.pk, "speech", "speech", {"behind_s": 1.0})
    async with following(feed, session, passing=False) as reader:
        await write(session, 1)
        await reader.has(1)
        assert not any(asked)
        async with following(feed, session) as onlooker:
            await eventually(lambda: onlooker.passing)
        assert not reader.passing


async def test_words_being_said_reach_one_who_reads_along(
    session: VoiceSession,
) -> None:
    feed = Feed()
    person = await session.participants.acreate(key="a", name="Alice")
    await write(session, 1)
    async with following(feed, session) as reader:
        key = f"partial:{person.pk}"
        await in_db(flashes.show)(session.pk, key, "partial", {"text": "hel"})
        await eventually(lambda: reader.passing)
    assert reader.passing[0].to_json() == {"type": "partial", "text": "hel"}


class Outages:
    """Makes a function fail for as long as told."""

    def __init__(self, works: Callable[..., Any]) -> None:
        self._works = works
        self.is_on = False
        self.failed = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.is_on:
            self.failed += 1
            raise OperationalError("database is locked")
        return self._works(*args, **kwargs)


async def test_an_absent_database_costs_time_and_no_line(
    session: VoiceSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads, replay = Outages(queries.heads), Outages(events.replay)
    monkeypatch.setattr(queries, "heads", heads)
    monkeypatch.setattr(events, "replay", replay)
    monkeypatch.setattr(feed_module, "SAFETY_POLL_S", 0.02)
    feed = Feed()
    await write(session, TAIL + 10)
    async with following(feed, session, after=TAIL) as there:
        await there.has(TAIL + 10)
        heads.is_on = replay.is_on = True
        await write(session, 2)
        async with following(feed, session) as newcomer:
            await eventually(lambda: heads.failed > 2 and replay.failed > 2)
            heads.is_on = replay.is_on = False
            await asyncio.gather(there.has(TAIL + 12), newcomer.has(TAIL + 12))
    assert there.seen == list(range(TAIL + 1, TAIL + 13))
    assert newcomer.seen == list(range(1, TAIL + 13))


async def test_the_reader_lives_for_as_long_as_anybody_follows(
    session: VoiceSession,
) -> None:
    feed = Feed()
    for turn in range(3):
        async with following(feed, session, after=turn) as reader:
            await write(session, 1)
            await reader.has(turn + 1)
        await eventually(lambda: feed._reader is not None and feed._reader.done())
    assert feed.followed() == set()
