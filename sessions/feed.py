"""The live feed: follows the event log of sessions for everybody in this process.

One reader per process looks for news (at each ring of the bell, and every `POLL_S`
without one) and hands them to all followers, so a hundred viewers cost one query.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import Error as DatabaseError

from sessions import bell, events, flashes, measures, queries
from sessions.background import PerLoop, spawn
from sessions.events import Event
from sessions.models import Participant
from sessions.outages import Outage

_database = Outage("the event log")

TAIL = 500
"""Events kept in memory per followed session; who is further back reads the table."""
SAFETY_POLL_S = 1.0
"""With a bell the log is looked at this rarely: a ring may be lost."""
LEVELS_POLL_S = 0.2
"""So often where somebody sees what passes: levels do not ring."""
KEYS = ("speech", "levels", "health")
"""What passes in any session, beside the words of each person."""


@dataclass(slots=True)
class _Watched:
    """One session with followers."""

    head: int
    tail: deque[Event] = field(default_factory=lambda: deque(maxlen=TAIL))
    flashes: dict[str, Event] = field(default_factory=dict)
    keys: list[str] = field(default_factory=lambda: list(KEYS))
    followers: set[asyncio.Event] = field(default_factory=set)
    onlookers: set[asyncio.Event] = field(default_factory=set)
    """Those of the followers who want what passes, too."""

    def since(self, cursor: int) -> list[Event] | None:
        """The events after `cursor`, or None when the tail does not reach back."""
        if cursor >= self.head:
            return []
        if not self.tail or self.tail[0].seq > cursor + 1:
            return None
        return [event for event in self.tail if event.seq > cursor]


class Feed:
    """All that is followed on one event loop."""

    def __init__(self) -> None:
        self._watched: dict[int, _Watched] = {}
        self._news = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    def followed(self) -> set[int]:
        """The sessions somebody follows."""
        return set(self._watched)

    async def follow(
        self, session_id: int, *, after: int = 0, passing: bool = True
    ) -> AsyncGenerator[Event, None]:
        """Every stored event above `after`, each once and in order, then what comes;
        between them passing ones as they change, unless nobody asks for those. Ends
        only when the caller does."""
        wake = asyncio.Event()
        watched = self._watch(session_id, wake)
        if passing:
            watched.onlookers.add(wake)
        cursor, shown = after, dict[str, Event]()
        try:
            while True:
                wake.clear()
                fresh = watched.since(cursor)
                if fresh is None:
                    fresh = await self._catch_up(session_id, cursor)
                for event in fresh:
                    yield event
                    cursor = event.seq
                if cursor < watched.head and fresh:
                    continue
                for key, event in list(watched.flashes.items()) if passing else ():
                    if shown.get(key) != event:
                        shown[key] = event
                        yield event
                await wake.wait()
        finally:
            self._unwatch(session_id, wake)

    async def _catch_up(self, session_id: int, cursor: int) -> list[Event]:
        """Read the log from `cursor` on, as soon as the database answers."""
        while True:
            try:
                return await _read(session_id, cursor)
            except (DatabaseError, OSError):
                _database.began()
                await asyncio.sleep(SAFETY_POLL_S)

    def _watch(self, session_id: int, wake: asyncio.Event) -> _Watched:
        watched = self._watched.get(session_id)
        if watched is None:
            # Head 0 makes the reader fetch the head, and the tail behind it, first.
            watched = self._watched[session_id] = _Watched(head=0)
        watched.followers.add(wake)
        self._news.set()
        if self._reader is None or self._reader.done():
            self._reader = spawn(self._read_on(), name="feed")
        return watched

    def _unwatch(self, session_id: int, wake: asyncio.Event) -> None:
        watched = self._watched[session_id]
        watched.followers.discard(wake)
        watched.onlookers.discard(wake)
        if not watched.followers:
            del self._watched[session_id]

    async def _read_on(self) -> None:
        """The reader: lives while anybody follows."""
        listener = spawn(self._listen(), name="feed.bell") if bell.rings() else None
        try:
            while self._watched:
                self._news.clear()
                try:
                    await self._look()
                except Exception:
                    # Mostly an absent database. Whatever it is: without this task
                    # everybody here would wait for ever.
                    _database.began()
                else:
                    _database.ended()
                pause = self._pause_s() if listener else settings.POLL_S
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), pause)
        finally:
            if listener:
                listener.cancel()

    def _pause_s(self) -> float:
        """With a bell."""
        shows = any(one.onlookers for one in self._watched.values())
        return LEVELS_POLL_S if shows else SAFETY_POLL_S

    async def _listen(self) -> None:
        """Take the bell's rings; when Redis is away, try again: the poll goes on."""
        layer = get_channel_layer()
        outage = Outage("the bell's ear")
        while True:
            try:
                channel = await layer.new_channel()
                await layer.group_add(bell.GROUP, channel)
                outage.ended()
                while True:
                    message = await layer.receive(channel)
                    if message["session"] in self._watched:
                        self._news.set()
            except Exception:
                # Whatever the layer raises when Redis is away: the poll goes on.
                outage.began()
                await asyncio.sleep(SAFETY_POLL_S)

    async def _look(self) -> None:
        heads = {pk: watched.head for pk, watched in self._watched.items()}
        keys = {pk: one.keys for pk, one in self._watched.items() if one.onlookers}
        for news in await _news_since(heads, keys):
            if (watched := self._watched.get(news.session_id)) is not None:
                _take(watched, news)


@dataclass(frozen=True, slots=True)
class _News:
    session_id: int
    head: int
    events: list[Event]
    flashes: dict[str, Event]
    participants: list[int] | None


def _take(watched: _Watched, news: _News) -> None:
    changed = news.head > watched.head or news.flashes != watched.flashes
    if news.events and watched.tail and news.events[0].seq != watched.tail[-1].seq + 1:
        watched.tail.clear()
    for event in news.events:
        if event.type in ("state", events.ERASED):
            # The end may forget what was said: from here on the table is asked again.
            watched.tail.clear()
        watched.tail.append(event)
    watched.head = max(news.head, watched.head)
    watched.flashes = news.flashes
    if news.participants is not None:
        watched.keys = [*KEYS, *(f"partial:{pk}" for pk in news.participants)]
    if changed:
        for wake in watched.followers:
            wake.set()


@database_sync_to_async
def _news_since(known: dict[int, int], keys: dict[int, list[str]]) -> list[_News]:
    found = []
    for session_id, head in queries.heads(known).items():
        fresh: list[Event] = []
        participants = None
        if head > known[session_id]:
            after = max(known[session_id], head - TAIL)
            fresh = events.replay(session_id, after=after)
            if fresh and known[session_id] and measures.is_shared:
                measures.FEED_LAG.observe(events.age_s(session_id, fresh[0].seq))
            head = fresh[-1].seq if fresh else head
            rows = Participant.objects.filter(session=session_id)
            participants = list(rows.values_list("pk", flat=True))
        passing = flashes.current(session_id, keys.get(session_id, []))
        found.append(_News(session_id, head, fresh, passing, participants))
    return found


@database_sync_to_async
def _read(session_id: int, cursor: int) -> list[Event]:
    return events.replay(session_id, after=cursor)


_feeds = PerLoop(Feed)


def feed() -> Feed:
    """The feed of the running event loop."""
    return _feeds.here()
