"""The board: all live sessions, for everybody who looks at a dashboard here.

One reader per process looks a few times a second, however many look; who may see what
is asked once per person and few seconds. It lives while anybody looks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from channels.db import database_sync_to_async
from django.contrib.auth import get_user_model

from sessions import livecards
from sessions import readers as counting
from sessions.background import PerLoop, spawn
from sessions.livecards import Card, Shown
from sessions.outages import Outage
from sessions.readers import EVERYBODY, readers

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

LOOK_S = 0.2
"""Levels move so often."""
HEADS_EVERY = 2
"""Looks between two at the tables."""
RIGHTS_S = 3.0
"""For so long somebody may see what they no longer may."""
NEW_RIGHTS_S = 0.8
"""The same, while sessions begin and end."""

Message = dict[str, Any]
_database = Outage("the tables, for the board")


@dataclass(slots=True)
class _Seen:
    """One person's board, for all their windows."""

    windows: int = 0
    shown: Shown = field(default_factory=Shown)
    asked_at: float = float("-inf")
    of: frozenset[int] = frozenset()


class Board:
    """All who look, on one event loop."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[int, _Seen] = {}
        self._wakes: set[asyncio.Event] = set()
        self._heads: dict[int, tuple[int, bool]] = {}
        self._cards: dict[int, Card] = {}
        self._passing: dict[int, Message] = {}
        self._readers: dict[int, int] = {}
        self._reader: asyncio.Task[None] | None = None

    async def follow(self, user_id: int) -> AsyncGenerator[Message, None]:
        """What changes on this person's board, from the whole of it on."""
        wake = asyncio.Event()
        seen = self._seen.setdefault(user_id, _Seen())
        seen.windows += 1
        self._wakes.add(wake)
        if self._reader is None or self._reader.done():
            self._reader = spawn(self._read_on(), name="board")
        view = _View()
        try:
            with readers().reading(EVERYBODY):
                while True:
                    if seen.asked_at > float("-inf"):
                        for message in self._news(seen, view):
                            yield message
                    await wake.wait()
                    wake.clear()
        finally:
            self._wakes.discard(wake)
            seen.windows -= 1
            if not seen.windows:
                self._seen.pop(user_id, None)

    def _news(self, seen: _Seen, view: _View) -> list[Message]:
        ids = [pk for pk in seen.shown.ids if pk in self._cards]
        cards = [message_of(self._cards[pk], self._readers.get(pk, 0)) for pk in ids]
        passing = {
            self._cards[pk].id: self._passing[pk] for pk in ids if pk in self._passing
        }
        return view.differs(cards, seen.shown.more, passing)

    async def _read_on(self) -> None:
        turn = 0
        while self._wakes:
            try:
                await self._look(with_tables=turn % HEADS_EVERY == 0)
            except Exception:
                # Mostly an absent database. Whatever it is: without this task all
                # boards here would stand still.
                _database.began()
            else:
                _database.ended()
            for wake in self._wakes:
                wake.set()
            turn += 1
            await asyncio.sleep(LOOK_S)

    async def _look(self, *, with_tables: bool) -> None:
        if with_tables or any(one.asked_at < 0 for one in self._seen.values()):
            await self._look_at_tables()
        on_show = {pk: self._cards[pk] for pk in self._on_show() if pk in self._cards}
        self._passing, self._readers = await asyncio.to_thread(_fleeting, on_show)

    async def _look_at_tables(self) -> None:
        heads = await database_sync_to_async(livecards.heads)()
        now, ids = self._clock(), frozenset(heads)
        due = [pk for pk, seen in self._seen.items() if _is_due(seen, ids, now=now)]
        if due:
            shown = await database_sync_to_async(_shown)(due)
            for pk in due:
                if (seen := self._seen.get(pk)) is not None:
                    seen.shown, seen.asked_at, seen.of = shown[pk], now, ids
        wanted = self._on_show() & ids
        stale = [
            pk
            for pk in wanted
            if pk not in self._cards or heads[pk] != self._heads.get(pk)
        ]
        fresh = await database_sync_to_async(livecards.cards)(stale) if stale else {}
        kept = {pk: card for pk, card in self._cards.items() if pk in wanted}
        self._cards = kept | fresh
        self._heads = {pk: heads[pk] for pk in wanted}

    def _on_show(self) -> set[int]:
        return {pk for seen in self._seen.values() for pk in seen.shown.ids}


class _View:
    """What one window has been told."""

    def __init__(self) -> None:
        self._ids: list[str] | None = None
        self._more = 0
        self._cards: dict[str, Message] = {}
        self._passing: dict[str, Message] = {}

    def differs(
        self, cards: list[Message], more: int, passing: dict[str, Message]
    ) -> list[Message]:
        """The messages that make it the same again."""
        told: list[Message] = []
        changed = [card for card in cards if self._cards.get(card["id"]) != card]
        ids = [card["id"] for card in cards]
        if ids != self._ids or more != self._more or changed:
            told.append({"type": "cards", "ids": ids, "more": more, "cards": changed})
        moved = {pk: now for pk, now in passing.items() if self._passing.get(pk) != now}
        if moved:
            told.append({"type": "passing", "sessions": moved})
        self._ids, self._more = ids, more
        self._cards = {card["id"]: card for card in cards}
        self._passing = dict(passing)
        return told


def message_of(card: Card, reading: int) -> Message:
    """A card as pages take it."""
    return card.to_json() | {"readers": reading}


def whole(user: AbstractBaseUser) -> Message:
    """All of somebody's board at once, for a page that is drawn or that polls."""
    shown = livecards.shown_to(user)
    cards, reading = livecards.cards(shown.ids), counting.counts()
    drawn = [message_of(cards[pk], reading[pk]) for pk in shown.ids if pk in cards]
    ids = [card["id"] for card in drawn]
    return {"type": "cards", "ids": ids, "more": shown.more, "cards": drawn}


def _is_due(seen: _Seen, ids: frozenset[int], *, now: float) -> bool:
    patience_s = RIGHTS_S if seen.of == ids else NEW_RIGHTS_S
    return now - seen.asked_at >= patience_s


def _shown(user_ids: list[int]) -> dict[int, Shown]:
    users = get_user_model().objects.filter(is_active=True).in_bulk(user_ids)
    return {
        pk: livecards.shown_to(users[pk]) if pk in users else Shown() for pk in user_ids
    }


def _fleeting(cards: dict[int, Card]) -> tuple[dict[int, Message], dict[int, int]]:
    passing = {pk: livecards.passing(pk, card) for pk, card in cards.items()}
    return passing, counting.counts()


_boards = PerLoop(Board)


def board() -> Board:
    """The board of the running event loop."""
    return _boards.here()
