"""Who reads along is asked again whether they may: a right may end meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from channels.db import database_sync_to_async
from clients import PAGE, Client, nothing_held
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import AsyncClient
from django.utils import timezone
from scene import an_open_session

from sessions import access, moderators, rights, tokens
from sessions.models import ApiToken, Scope, State, VoiceSession
from sessions.opening import Opened

pytestmark = pytest.mark.django_db(transaction=True)

in_db = database_sync_to_async


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rights, "AGAIN_S", 0.05)


@pytest.fixture
async def opened() -> Opened:
    return await in_db(an_open_session)()


def a_moderator() -> User:
    moderators.appoint("mo")
    return User.objects.get(username="mo")


def closes_the_account(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def takes_the_role_away(user: User) -> None:
    user.groups.clear()


@pytest.mark.parametrize("ends", [closes_the_account, takes_the_role_away])
async def test_a_window_closes_when_its_right_ends(
    opened: Opened, ends: Callable[[User], None]
) -> None:
    user = await in_db(a_moderator)()
    address = f"session/{opened.session.public_id}/live"
    async with Client(address, user=user, headers=PAGE) as client:
        assert (await client.hears())["type"] == "state"
        await asyncio.sleep(0.3)  # asked some times, and may stay
        await client.says('{"type": "ping"}')
        assert await client.hears() == {"type": "pong"}
        await in_db(ends)(user)
        assert (await client.closing())[0] == 4004
    assert nothing_held()


async def test_the_sessions_own_token_ends_with_the_session(opened: Opened) -> None:
    public_id, token = opened.session.public_id, opened.token
    watching = asyncio.create_task(
        rights.until_ended(public_id, user=None, token=token)
    )
    await asyncio.sleep(0.3)
    assert not watching.done()
    rows = VoiceSession.objects.filter(pk=opened.session.pk)
    await in_db(rows.update)(state=State.DELETED, ended_at=timezone.now())
    await asyncio.wait_for(watching, 5)


async def test_a_database_that_is_away_sends_nobody_away(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    def away(*_: object, **__: object) -> None:
        nonlocal asked
        asked += 1
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(access, "session_for", away)
    watching = asyncio.create_task(
        rights.until_ended(opened.session.public_id, user=None, token=opened.token)
    )
    async with asyncio.timeout(5):
        while asked < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert not watching.done()
    watching.cancel()


def expires() -> None:
    ApiToken.objects.update(expires_at=timezone.now())


def is_deleted() -> None:
    ApiToken.objects.all().delete()


def loses_its_scope() -> None:
    ApiToken.objects.update(scopes=Scope.CALLS)


@pytest.mark.parametrize("ends", [expires, is_deleted, loses_its_scope])
async def test_an_event_stream_ends_with_the_api_token_that_opened_it(
    opened: Opened, ends: Callable[[], None]
) -> None:
    token = await in_db(tokens.make)(await in_db(a_moderator)())
    url = f"/api/sessions/{opened.session.public_id}/events"
    bearer = {"Authorization": f"Bearer {token}"}
    answer = await AsyncClient().get(url, headers=bearer)

    async def read() -> list[bytes]:
        return [line async for line in answer.streaming_content]  # type: ignore[attr-defined]

    reading = asyncio.create_task(read())
    await asyncio.sleep(0.3)  # asked some times, and may stay
    assert not reading.done()
    await in_db(ends)()
    assert await asyncio.wait_for(reading, 5)
