"""Nobody takes all there is: connections by address, live sessions by person."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator

import pytest
from clients import Client, audio, in_db, live
from django.contrib.auth.models import User
from django.test import AsyncClient
from django.test import Client as Browser
from pytest_django.fixtures import Settings
from scene import NOON, Clock, a_session, a_user, an_open_session

from sessions import consumers, finish, tokens
from sessions.crowd import ENTRIES_PER_S, Crowd, CrowdedError, crowd
from sessions.models import ApiToken, State, VoiceSession
from sessions.opening import Opened

pytestmark = pytest.mark.django_db(transaction=True)
HERE, ELSEWHERE = "192.0.2.7", "198.51.100.9"


@pytest.fixture(autouse=True)
def _few(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CONNECTIONS_PER_ADDRESS = settings.SESSIONS_PER_USER = 2
    settings.TRUSTED_PROXIES = 1
    monkeypatch.setattr(finish, "ring", lambda _: None)
    monkeypatch.setattr(consumers, "open_sinks", lambda track: [])


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    yield await in_db(an_open_session)()
    assert crowd.count(HERE) == crowd.count(ELSEWHERE) == 0


def from_(address: str) -> list[tuple[bytes, bytes]]:
    return [(b"x-forwarded-for", address.encode())]


async def test_one_more_connection_is_closed_and_others_are_not(opened: Opened) -> None:
    speaker = Client(audio(opened), headers=from_(HERE))
    viewer = Client(live(opened), headers=from_(HERE))
    async with speaker, viewer:
        for path in (audio(opened), live(opened)):
            async with Client(path, headers=from_(HERE)) as third:
                assert await third.closing() == (
                    4014,
                    "Too many connections come from your address.",
                )
        async with Client(live(opened), headers=from_(ELSEWHERE)) as other:
            assert (await other.hears())["type"] == "state"
    async with Client(live(opened), headers=from_(HERE)) as again:
        assert (await again.hears())["type"] == "state"


async def test_all_addresses_of_one_ipv6_network_are_one(opened: Opened) -> None:
    first, second, third, elsewhere = (
        Client(live(opened), headers=from_(address))
        for address in (
            "2001:db8:0:7::1",
            "2001:db8:0:7::2",
            "2001:db8:0:7:ffff::3",
            "2001:db8:0:8::1",
        )
    )
    async with first, second, third, elsewhere:
        assert (await third.closing())[0] == 4014
        assert (await elsewhere.hears())["type"] == "state"


async def test_an_event_stream_is_one_of_them(opened: Opened) -> None:
    url = f"/api/sessions/{opened.session.public_id}/events?token={opened.token}"
    asked = {"x-forwarded-for": HERE}
    viewer = Client(live(opened), headers=from_(HERE))
    async with viewer, Client(live(opened), headers=from_(HERE)):
        refused = await AsyncClient().get(url, headers=asked)
        assert (refused.status_code, json.loads(refused.content)["code"]) == (
            429,
            "crowded",
        )
    answer = await AsyncClient().get(url, headers=asked)
    assert answer.status_code == 200
    answer.close()


def test_an_address_that_nobody_knows_is_not_refused(settings: Settings) -> None:
    with crowd.inside(""), crowd.inside(""):
        crowd.check("")
    settings.CONNECTIONS_PER_ADDRESS = 0
    with crowd.inside(HERE), crowd.inside(HERE), crowd.inside(HERE):
        crowd.check(HERE)
    settings.CONNECTIONS_PER_ADDRESS = 1
    with crowd.inside(HERE), pytest.raises(CrowdedError):
        crowd.check(HERE)
    crowd.check(HERE)


def test_who_comes_again_and_again_is_let_in_ever_more_slowly(
    settings: Settings,
) -> None:
    settings.CONNECTIONS_PER_ADDRESS = 50
    clock = Clock()
    theirs = Crowd(clock=clock)

    def entries(address: str, seconds: float) -> int:
        entered = 0
        for _ in range(round(seconds * 100)):
            with contextlib.suppress(CrowdedError):
                theirs.check(address)
                entered += 1
            clock.passes(0.01)
        return entered

    assert entries(HERE, 60) == pytest.approx(100 + 60 * ENTRIES_PER_S, abs=2)
    theirs.check(ELSEWHERE)
    clock.passes(10)
    assert entries(HERE, 1) == 100  # a hundred who come back at once
    assert entries("", 1) == 100


@pytest.fixture
def ada() -> User:
    ada = a_user("ada")
    ApiToken.objects.create(user=ada, token_sha256=tokens.digest("secret"))
    a_session(State.READY, owner=ada)
    for _ in range(2):
        a_session(State.ACTIVE, owner=ada)
    return ada


def test_live_sessions_of_one_person_have_a_bound(ada: User) -> None:
    asked = {"Authorization": "Bearer secret"}
    browser = Browser()
    answer = browser.post(
        "/api/sessions", "{}", content_type="application/json", headers=asked
    )
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_sessions")
    browser.force_login(ada)
    page = browser.post("/session/new", {"title": "One more"})
    assert page.status_code == 422
    assert "You have 2 sessions that run" in page.content.decode()
    VoiceSession.objects.filter(owner=ada).update(state=State.READY, ended_at=NOON)
    assert browser.post("/session/new", {"title": "One more"}).status_code == 302
