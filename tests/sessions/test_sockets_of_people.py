"""Who is signed in at a WebSocket is known there: who speaks, and who only looks."""

from __future__ import annotations

import uuid

import pytest
from channels.db import database_sync_to_async
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser, User
from pytest_django.fixtures import Settings
from scene import a_moderator, a_user, an_open_session

from sessions.models import AuditEntry, Participant
from sessions.opening import Opened
from sessions.routing import websocket_urlpatterns

pytestmark = pytest.mark.django_db(transaction=True)

in_db = database_sync_to_async
OURS = [(b"origin", b"http://parley.test"), (b"host", b"parley.test")]


@pytest.fixture(autouse=True)
def _no_ears(settings: Settings) -> None:
    settings.CAPTURE_SINKS = []


async def comes(
    opened: Opened,
    socket: str,
    *,
    user: User | None,
    headers: list[tuple[bytes, bytes]],
) -> None:
    """Opens the socket by the link, gets the first message, and goes again."""
    query = f"token={opened.token}"
    if socket == "audio":
        query += f"&consent=true&stream={uuid.uuid4()}"
    path = f"session/{opened.session.public_id}/{socket}?{query}"
    client = WebsocketCommunicator(URLRouter(websocket_urlpatterns), path, headers)
    client.scope["user"] = user or AnonymousUser()
    client.scope["client"] = ["192.0.2.7", 4711]
    assert (await client.connect(timeout=5))[0]
    assert (await client.receive_output(timeout=5))["type"] == "websocket.send"
    await client.disconnect(timeout=5)


@in_db
def speakers() -> list[str]:
    people = Participant.objects.select_related("user")
    return [one.user.username if one.user else "" for one in people]


@in_db
def looked() -> list[tuple[str, str, str]]:
    return list(AuditEntry.objects.values_list("who", "kind", "address"))


@pytest.mark.parametrize(("headers", "known"), [(OURS, "ben"), ([], "")])
async def test_who_speaks_signed_in_on_our_page_is_linked_with_their_account(
    headers: list[tuple[bytes, bytes]], known: str
) -> None:
    opened, ben = await in_db(an_open_session)(), await in_db(a_user)("ben")
    await comes(opened, "audio", user=ben, headers=headers)
    assert await speakers() == [known]


async def test_who_speaks_by_the_link_alone_is_nobodys_account() -> None:
    opened = await in_db(an_open_session)()
    await comes(opened, "audio", user=None, headers=OURS)
    assert await speakers() == [""]


async def test_who_follows_what_is_not_theirs_is_written_down() -> None:
    opened, mod = await in_db(an_open_session)(), await in_db(a_moderator)()
    await comes(opened, "live", user=mod, headers=OURS)
    await comes(opened, "live", user=mod, headers=OURS)
    await comes(opened, "live", user=None, headers=OURS)
    assert await looked() == [
        ("link:192.0.2.7", "live", "192.0.2.7"),
        (f"user:{mod.pk}", "live", "192.0.2.7"),
    ]


async def test_who_follows_their_own_is_not() -> None:
    ada = await in_db(a_user)("ada")
    opened = await in_db(an_open_session)(owner=ada)
    await comes(opened, "live", user=ada, headers=OURS)
    assert await looked() == []
