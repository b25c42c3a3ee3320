"""The board's WebSocket: who sees which sessions come, change and go."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from channels.db import database_sync_to_async
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.core.cache.backends.locmem import LocMemCache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from scene import a_moderator, a_session, a_user

from sessions import board, events, flashes, liveboard, livecards, readers
from sessions.models import AuditEntry, Participant, State, VoiceSession
from sessions.routing import websocket_urlpatterns

pytestmark = pytest.mark.django_db(transaction=True)

in_db = database_sync_to_async
OURS = [(b"origin", b"http://parley.test"), (b"host", b"parley.test")]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = LocMemCache("board", {})
    cache.clear()
    for module in (flashes, readers):
        monkeypatch.setattr(module, "live", lambda: cache)
    monkeypatch.setattr(board, "LOOK_S", 0.01)
    monkeypatch.setattr(board, "RIGHTS_S", 0.05)
    monkeypatch.setattr(board, "NEW_RIGHTS_S", 0.01)
    monkeypatch.setattr(liveboard, "CHECK_S", 0.05)


class Window(WebsocketCommunicator):
    """One dashboard: what it was told, put together as its scripts do."""

    def __init__(self, key: str | None, *, headers: list[tuple[bytes, bytes]]) -> None:
        app = URLRouter(websocket_urlpatterns)
        super().__init__(app, "/live", headers=headers)
        self.scope["session"] = SessionStore(key)
        self.ids: list[str] = []
        self.cards: dict[str, dict[str, Any]] = {}
        self.passing: dict[str, dict[str, Any]] = {}

    async def hear(self) -> None:
        message = await self.receive_output(timeout=5)
        assert message["type"] == "websocket.send", message
        told = json.loads(message["text"])
        if told["type"] == "cards":
            self.ids = told["ids"]
            self.cards |= {card["id"]: card for card in told["cards"]}
        elif told["type"] == "passing":
            self.passing |= told["sessions"]

    async def until_shown(self, *sessions: VoiceSession) -> None:
        while set(self.ids) != {str(one.public_id) for one in sessions}:
            await self.hear()

    async def until_closed(self) -> int:
        while (message := await self.receive_output(timeout=5))["type"] != (
            "websocket.close"
        ):
            pass
        code: int = message["code"]
        return code


class Windows:
    """Opens them, and closes them at the end."""

    def __init__(self) -> None:
        self.opened: list[Window] = []

    async def open(
        self, user: User | None, *, headers: list[tuple[bytes, bytes]] = OURS
    ) -> Window:
        key = await in_db(signed_in)(user) if user else None
        window = Window(key, headers=headers)
        assert (await window.connect())[0]
        self.opened.append(window)
        return window


def signed_in(user: User) -> str | None:
    client = Client()
    client.force_login(user)
    return client.session.session_key


@pytest.fixture
async def windows() -> AsyncIterator[Windows]:
    made = Windows()
    yield made
    for window in made.opened:
        await window.disconnect()


@pytest.fixture
async def ada() -> User:
    return await in_db(a_user)("ada")


def speaks(talk: VoiceSession, name: str) -> Participant:
    person = Participant.objects.create(
        session=talk, key=name, name=name, held_by="somewhere"
    )
    said = {"name": name, "participant": str(person.public_id), "present": True}
    events.append(talk.pk, "participant", said)
    return person


def says(talk: VoiceSession, text: str, *, end_ms: int = 1000) -> None:
    data = {"id": text, "name": "Ben", "text": text, "end_ms": end_ms}
    events.append(talk.pk, "utterance", data)


async def test_sessions_come_change_and_go(windows: Windows, ada: User) -> None:
    window, other = await windows.open(ada), await windows.open(ada)
    talk = await in_db(a_session)(owner=ada, title="Plan")
    await window.until_shown(talk)
    await in_db(speaks)(talk, "Ben")
    await in_db(says)(talk, "Good morning.")
    key = str(talk.public_id)
    while (card := window.cards[key])["line"] is None or not card["people"]:
        await window.hear()
    assert (card["title"], card["line"]["text"]) == ("Plan", "Good morning.")
    assert [person["initials"] for person in card["people"]] == ["B"]
    assert "key" not in card["people"][0]
    await in_db(VoiceSession.objects.filter(pk=talk.pk).update)(
        state=State.FINISHING, ended_at=talk.started_at
    )
    for one in (window, other):
        await one.until_shown()


async def test_what_passes_is_shown_while_it_does(windows: Windows, ada: User) -> None:
    talk = await in_db(a_session)(owner=ada)
    ben = await in_db(speaks)(talk, "Ben")
    await in_db(says)(talk, "Good morning.", end_ms=1000)
    window = await windows.open(ada)
    await window.until_shown(talk)
    who, key = str(ben.public_id), str(talk.public_id)
    grey = {"id": "2", "participant": who, "name": "Ben", "end_ms": 2000, "text": "and"}
    await in_db(flashes.show)(talk.pk, "levels", "levels", {"levels": {who: -20}})
    await in_db(flashes.show)(talk.pk, f"partial:{ben.pk}", "partial", grey)
    while window.passing.get(key, {}).get("saying") is None:
        await window.hear()
    assert window.passing[key]["levels"] == {who: -20}
    assert window.passing[key]["saying"]["text"] == "and"
    await in_db(says)(talk, "and so on.", end_ms=2500)
    while window.passing[key]["saying"] is not None:
        await window.hear()


async def test_nobody_sees_what_is_not_theirs(windows: Windows, ada: User) -> None:
    zoe = await in_db(a_user)("zoe")
    mod = await in_db(a_moderator)("mod")
    hers, mine = await windows.open(zoe), await windows.open(ada)
    all_of_it = await windows.open(mod)
    talk = await in_db(a_session)(owner=ada)
    other = await in_db(a_session)(owner=zoe)
    await mine.until_shown(talk)
    await hers.until_shown(other)
    await all_of_it.until_shown(talk, other)


async def test_a_lost_right_takes_the_card_away(windows: Windows, ada: User) -> None:
    mod = await in_db(a_moderator)("mod")
    talk = await in_db(a_session)(owner=ada)
    window = await windows.open(mod)
    await window.until_shown(talk)
    await in_db(mod.user_permissions.clear)()
    await window.until_shown()


async def test_signing_out_closes_the_window(windows: Windows, ada: User) -> None:
    window = await windows.open(ada)
    await window.hear()
    store = window.scope["session"]
    await in_db(SessionStore(store.session_key).flush)()
    assert await window.until_closed() == 4003


async def test_a_locked_account_closes_the_window(windows: Windows, ada: User) -> None:
    window = await windows.open(ada)
    await in_db(User.objects.filter(pk=ada.pk).update)(is_active=False)
    assert await window.until_closed() == 4003


async def test_strangers_and_foreign_pages_are_shown_nothing(
    windows: Windows, ada: User
) -> None:
    foreign = [(b"origin", b"http://evil.test"), (b"host", b"parley.test")]
    assert await (await windows.open(None)).until_closed() == 4003
    assert await (await windows.open(ada, headers=foreign)).until_closed() == 4003


async def test_it_takes_nothing_but_pings(windows: Windows, ada: User) -> None:
    window = await windows.open(ada)
    await window.send_to(text_data='{"type": "stop"}')
    assert await window.until_closed() == 4009


async def test_what_a_window_shows_of_others_is_written_down_once(
    windows: Windows, ada: User
) -> None:
    mod = await in_db(a_moderator)("mod")
    theirs, own = await in_db(a_session)(owner=ada), await in_db(a_session)(owner=mod)
    for _ in range(2):
        window = await windows.open(mod)
        await window.until_shown(theirs, own)
        await in_db(says)(theirs, "Good morning.")
    rows = await in_db(
        lambda: list(AuditEntry.objects.values_list("session", "kind"))
    )()
    assert rows == [(theirs.public_id, "lines")]


async def test_who_reads_along_is_counted(windows: Windows, ada: User) -> None:
    talk = await in_db(a_session)(owner=ada)
    await in_db(readers.tell)("elsewhere", {talk.pk: 2})
    window = await windows.open(ada)
    await window.until_shown(talk)
    while window.cards[str(talk.public_id)]["readers"] != 2:
        await window.hear()


@pytest.mark.django_db
def test_many_cards_cost_as_many_questions_as_one() -> None:
    ada = a_user("ada2")
    costs = []
    for _ in range(2):
        for _ in range(4):
            talk = a_session(owner=ada)
            speaks(talk, "Ben")
            says(talk, "Good morning.")
        with CaptureQueriesContext(connection) as questions:
            livecards.cards(livecards.shown_to(ada).ids)
        costs.append(len(questions))
    # The first time their permissions are read, too.
    assert costs[1] <= costs[0] <= 6
