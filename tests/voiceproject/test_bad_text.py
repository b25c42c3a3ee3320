"""Text that JSON and cookies can hold and a database cannot: never a fault of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from channels.testing import WebsocketCommunicator
from clients import Client as Socket
from clients import audio, in_db
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from everybody import World
from pytest_django.fixtures import Settings
from scene import an_open_session

from sessions import tokens
from sessions.models import Participant
from voiceproject.api import api
from voiceproject.asgi import application

pytestmark = pytest.mark.usefixtures("either_database")

BAD = ("\0", "a\0b", "\ud800", "b\udfff")
BAD_COOKIE = "sessionid=" + r'"\000\000\000\000\000\000\000\000"'
"""Eight NULs, as http.cookies writes them."""


@pytest.fixture(autouse=True)
def _settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CAPTURE_SINKS = []
    # All threads of a test client are one: its connection is in the test's transaction.
    monkeypatch.setattr("channels.db.close_old_connections", lambda **_: None)


def bodies() -> Iterator[tuple[str, str, str]]:
    """Method, path and body: each field of each operation, with each bad text, alone
    and within something."""
    described = api.get_openapi_schema()
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            for field in fields(described, operation):
                for bad in BAD:
                    for value in (bad, [bad], {"x": bad}, {bad: "x"}):
                        yield method.upper(), path, json.dumps({field: value})


def fields(described: dict[str, Any], operation: dict[str, Any]) -> list[str]:
    if "requestBody" not in operation:
        return []
    content = operation["requestBody"]["content"]["application/json"]
    schema = described["components"]["schemas"][
        content["schema"]["$ref"].split("/")[-1]
    ]
    return list(schema["properties"])


def test_no_field_of_the_api_brings_it_down() -> None:
    asked = list(bodies())
    assert len(asked) > 200
    with transaction.atomic():
        world = World()
        owner = world.people["owner"]
        assert owner is not None
        bearer = {"Authorization": f"Bearer {tokens.make(owner)}"}
        client = Client(headers=bearer, raise_request_exception=False)
        for method, path, body in asked:
            with transaction.atomic():
                where = path.format(**world.parameters)
                answer = client.generic(method, where, body, "application/json")
                transaction.set_rollback(True)
            assert answer.status_code < 500, (method, path, body)
        transaction.set_rollback(True)


@pytest.mark.parametrize("kind", ["discord", "caller", "account", "participant"])
def test_nor_does_who_is_to_be_erased(kind: str) -> None:
    form = {"kind": kind, "value": "5\x0000"}
    with transaction.atomic():
        client = Client()
        client.force_login(User.objects.create_superuser("admin"))
        answer = client.post("/admin/voice_sessions/erasure/erase/", form)
        transaction.set_rollback(True)
    assert answer.status_code == 200
    assert "5 00" in answer.content.decode()


@pytest.mark.parametrize("path", ["/me/", "/login", "/admin/", "/api/sessions"])
def test_a_cookie_that_django_never_made_is_nobodys(path: str) -> None:
    answer = Client().get(path, headers={"cookie": BAD_COOKIE})
    assert answer.status_code in (200, 302, 401)
    assert answer.cookies["sessionid"].value == "", "the browser is told to drop it"


async def test_nor_does_it_open_a_socket() -> None:
    headers = [
        (b"host", b"localhost"),
        (b"origin", b"http://localhost"),
        (b"cookie", BAD_COOKIE.encode()),
    ]
    socket = WebsocketCommunicator(application, "/live", headers=headers)
    await socket.connect(timeout=5)
    closed = await socket.receive_output(timeout=5)
    assert (closed["type"], closed["code"]) == ("websocket.close", 4003)


@pytest.mark.parametrize("name", ["%00", "%00Ada%00", "Ada%ed%a0%80", "%ff%fe"])
async def test_whoever_speaks_may_call_themselves_as_they_like(name: str) -> None:
    opened = await in_db(an_open_session)()
    async with Socket(audio(opened, name=name)) as speaker:
        await speaker.says('{"type": "ping"}')
        assert await speaker.hears() == {"type": "pong"}
    (named,) = await in_db(list)(Participant.objects.values_list("name", flat=True))
    assert named.isprintable()
