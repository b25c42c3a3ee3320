"""Every operation of the API takes an API token of its own scope and of no other."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from channels.db import database_sync_to_async
from channels.testing import WebsocketCommunicator
from django.db import transaction
from django.test import Client
from everybody import World
from pytest_django.fixtures import Settings

from sessions import tokens
from sessions.models import Scope
from voiceproject.api import api
from voiceproject.asgi import application

OPERATIONS = sorted(
    (method.upper(), path)
    for path, described in api.get_openapi_schema()["paths"].items()
    for method in described
)
"""As the OpenAPI document describes them."""


def own_scope(method: str, path: str) -> Scope:
    if path.startswith("/api/calls"):
        return Scope.CALLS
    return Scope.READ if method == "GET" else Scope.WRITE


@pytest.fixture(autouse=True)
def _settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CAPTURE_SINKS = []
    # Nobody reads what is sent: each holds its place.
    monkeypatch.setattr("sessions.streaming._places", threading.Semaphore(100))
    # Whoever gets so far may end it; the end itself needs a running server.
    monkeypatch.setattr("sessions.api._end", _ended)
    # All threads of a test client are one: its connection is in the test's transaction.
    monkeypatch.setattr("channels.db.close_old_connections", lambda **_: None)


async def _ended(session_id: int) -> bool:
    return True


def asks(world: World, method: str, path: str, scope: Scope) -> tuple[int, str]:
    """What the owner's program is answered: the status and the code, if any."""
    owner = world.people["owner"]
    assert owner is not None
    token = tokens.make(owner, scopes=[scope])
    client = Client(headers={"Authorization": f"Bearer {token}"})
    with transaction.atomic():
        answer: Any = client.generic(method, path.format(**world.parameters))
        code = json.loads(answer.content)["code"] if answer.status_code > 399 else ""
        for close in answer._resource_closers:
            close()
        transaction.set_rollback(True)
    return answer.status_code, code


def test_the_document_describes_every_kind_of_operation() -> None:
    assert {own_scope(*one) for one in OPERATIONS} == set(Scope)
    assert len(OPERATIONS) > 30


@pytest.mark.django_db
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_an_operation_takes_its_own_scope_alone(method: str, path: str) -> None:
    world, own = World(), own_scope(method, path)
    for scope in Scope:
        status, code = asks(world, method, path, scope)
        refused = (status, code) == (403, "scope")
        assert refused is (scope != own)
        assert status not in (401, 500)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "address", ["session/{public_id}/audio", "session/{public_id}/live"]
)
async def test_a_socket_takes_none_at_all(address: str) -> None:
    """It would have to stand in the address, which is kept in logs."""
    world = await database_sync_to_async(World)()
    token = await database_sync_to_async(tokens.make)(world.people["owner"])
    path = f"{address.format(**world.parameters)}?consent=true&token={token}"
    bearer = [(b"authorization", f"Bearer {token}".encode())]
    socket = WebsocketCommunicator(application, path, headers=bearer)
    await socket.connect(timeout=5)
    closed = await socket.receive_output(timeout=5)
    assert (closed["type"], closed["code"]) == ("websocket.close", 4004)
