"""Every address by everybody: what each is answered.

An address that the table does not know fails here by its name: add its line. The
admin's pages go by a rule, for Django generates them.
"""

from __future__ import annotations

import re
import threading
import uuid

import pytest
from channels.db import database_sync_to_async
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from everybody import (
    WHO,
    Cell,
    Line,
    World,
    administration,
    line,
    manuals,
    operations,
    pages,
    sockets,
    told,
)
from pytest_django.fixtures import Settings
from scene import a_user

from sessions import access, events
from sessions.routing import websocket_urlpatterns
from voiceproject.asgi import application

ALL = line(200)
SIGNED_IN = line("302 /login", 200, 200, 200, 200, 200, 200, "302 /login")
# Without a sign-in or a token the API says so, whether there is a session or not.
SEEN = line(401, "404 not_found", 200, 200, 200, 200, 200, 200)
MANAGED = line(
    401, "404 not_found", "403 not_allowed", 200, 200, 200, 200, "403 not_allowed"
)

DROPPED = line(
    401, "404 not_found", "403 not_allowed", 204, 204, 204, 204, "403 not_allowed"
)

# anonymous, stranger, participant, manager, moderator, admin, owner, link
TABLE: dict[str, Line] = {
    # --- pages
    "GET /": ALL,
    "GET /health": ALL,
    "GET /health/live": ALL,
    "GET /health/ready": ALL,
    "GET /search": SIGNED_IN,
    "GET /session/{public_id}": line(404, 404, 200, 200, 200, 200, 200, 200),
    "POST /session/new": line(
        "302 /login",
        *["302 /session"] * 6,
        "302 /login",
    ),
    "GET /storage/{token}": line(403),
    "GET /live": line(403, 200, 200, 200, 200, 200, 200, 403),
    "GET /metrics": line(404),
    "GET /shared/{token}": line(404),
    "GET /shared/{token}/sound": line(404),
    # --- people's own
    "GET /me/": SIGNED_IN,
    "GET /me/data.zip": SIGNED_IN,
    "POST /me/erase": line("302 /login", *["302 /me/"] * 6, "302 /login"),
    "GET /receipt/{public_id}": line(404),
    "GET /receipt/{public_id}.txt": line(404),
    "GET /unsubscribe/{token}": line(404),
    # --- signing in
    "GET /login": line(200, 302, 302, 302, 302, 302, 302, 200),
    "GET /login/inactive": ALL,
    "GET /login/cancelled": ALL,
    "GET /login/discord": ALL,
    "POST /login/discord": line("302 https://discord.com/oauth2/authorize"),
    "GET /login/discord/callback": line(401),
    "GET /logout": line("302 /", 200, 200, 200, 200, 200, 200, "302 /"),
    "POST /logout": line("302 /"),
    "GET /signup": line(404),
    "GET /account": SIGNED_IN,
    # --- the API's own pages
    "GET /api/": line(404),
    "GET /api/docs": ALL,
    "GET /api/openapi.json": ALL,
    # --- sessions
    "GET /api/sessions": line(401, 200, 200, 200, 200, 200, 200, 401),
    "POST /api/sessions": line(401, 201, 201, 201, 201, 201, 201, 401, body={}),
    "GET /api/sessions/{public_id}": SEEN,
    "POST /api/sessions/{public_id}/end": MANAGED,
    "GET /api/sessions/{public_id}/events": SEEN,
    "GET /api/sessions/{public_id}/recordings": SEEN,
    "GET /api/sessions/{public_id}/recordings/{recording}/peaks.{suffix}": SEEN,
    "GET /api/sessions/{public_id}/download": line(401, 404, *[202] * 6),
    "GET /api/sessions/{public_id}/transcript.{suffix}": SEEN,
    "GET /api/sessions/{public_id}/tracks.zip": SEEN,
    "GET /api/sessions/{public_id}/tracks/{participant}.{suffix}": line(
        *SEEN.cells, suffix="wav"
    ),
    "GET /api/sessions/{public_id}/tones": SEEN,
    "GET /api/sessions/{public_id}/waveforms": SEEN,
    # --- what people add
    "PATCH /api/sessions/{public_id}/utterances/{utterance}": line(
        *MANAGED.cells, body={"text": "good evening"}
    ),
    "GET /api/sessions/{public_id}/utterances/{utterance}/history": SEEN,
    "PATCH /api/sessions/{public_id}/participants/{participant}": line(
        *MANAGED.cells, body={"name": "Eva"}
    ),
    "POST /api/sessions/{public_id}/participants/{participant}/merge": line(
        *MANAGED.cells, body={"into": "{other}"}
    ),
    "GET /api/sessions/{public_id}/bookmarks": SEEN,
    "POST /api/sessions/{public_id}/bookmarks": line(
        401, "404 not_found", *[201] * 6, body={"text": "here"}
    ),
    "PATCH /api/sessions/{public_id}/bookmarks/{bookmark}": line(
        401,
        "404 not_found",
        "403 not_yours",
        200,
        200,
        200,
        200,
        "403 not_yours",
        body={"text": "there"},
    ),
    "DELETE /api/sessions/{public_id}/bookmarks/{bookmark}": line(
        401, "404 not_found", "403 not_yours", 204, 204, 204, 204, "403 not_yours"
    ),
    "GET /api/sessions/{public_id}/shares": MANAGED,
    "POST /api/sessions/{public_id}/shares": line(
        401,
        "404 not_found",
        "403 not_allowed",
        201,
        201,
        201,
        201,
        "403 not_allowed",
        body={"days": 1},
    ),
    "DELETE /api/sessions/{public_id}/shares/{share_id}": DROPPED,
    # --- people's rights
    "PATCH /api/sessions/{public_id}/keeping": line(
        *MANAGED.cells, body={"keep": True}
    ),
    "POST /api/sessions/{public_id}/forget-me": line(
        401,
        "404 not_found",
        *[202] * 6,
        body={"streams": ["0b9b0f9e-4cbb-4b0e-8e0a-5a3f4f3f1c11"]},
    ),
    "GET /api/sessions/{public_id}/subscription": line(
        401, "404 not_found", 200, 200, 200, 200, 200, 401
    ),
    "POST /api/sessions/{public_id}/subscription": line(
        401, "404 not_found", 200, 200, 200, 200, 200, 401
    ),
    "DELETE /api/sessions/{public_id}/subscription": line(
        401, "404 not_found", 200, 200, 200, 200, 200, 401
    ),
    # --- calls
    "POST /api/calls": line(401, 201, 201, 201, 201, 201, 201, 401, body={}),
    "GET /api/calls/{uuid}": line(401, 404, 404, 404, 200, 200, 200, 404),
    "GET /api/calls/{uuid}/next": line(401, 404, 404, 404, 200, 200, 200, 404),
    "POST /api/calls/{uuid}/transfer": line(
        401, 404, 404, 404, 200, 200, 200, 404, body={"to": "100"}
    ),
}

OPENS, NOWHERE, SIGNED_OUT = "opens", 4004, 4003
SOCKETS: dict[str, tuple[Cell, ...]] = {
    "WS /session/{public_id}/audio": (NOWHERE, NOWHERE, *[OPENS] * 6),
    "WS /session/{public_id}/live": (NOWHERE, NOWHERE, *[OPENS] * 6),
    "WS /live": (SIGNED_OUT, *[OPENS] * 6, SIGNED_OUT),
    "WS /": (NOWHERE,) * len(WHO),
}


@pytest.fixture(autouse=True)
def _settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DISCORD_CLIENT_ID, settings.DISCORD_CLIENT_SECRET = "app", "secret"
    settings.CAPTURE_SINKS = []
    # Nobody reads what is sent: each holds its place.
    monkeypatch.setattr("sessions.streaming._places", threading.Semaphore(100))
    # Whoever gets so far may end it; the end itself needs a running server.
    monkeypatch.setattr("sessions.api._end", _ended)
    # All threads of a test client are one: its connection is in the test's transaction.
    monkeypatch.setattr("channels.db.close_old_connections", lambda **_: None)


async def _ended(session_id: int) -> bool:
    return True


def test_the_table_knows_every_address() -> None:
    known = {address.partition(" ")[2] for address in TABLE}
    assert not operations() - set(TABLE), "add a line for each of these"
    assert not (pages() | manuals()) - known, "add a line for each of these"
    assert not sockets(websocket_urlpatterns) - set(SOCKETS), "add a line for each"


def test_the_table_knows_no_address_that_is_not_there() -> None:
    paths = pages() | manuals()
    gone = {one for one in TABLE if one.partition(" ")[2] not in paths}
    assert not gone - operations()
    assert not set(SOCKETS) - sockets(websocket_urlpatterns)


@pytest.mark.django_db
@pytest.mark.parametrize("address", TABLE)
def test_everybody_is_answered_as_the_table_says(address: str) -> None:
    world, what = World(), TABLE[address]
    found = {}
    for who, expected in zip(WHO, what.cells, strict=True):
        world.client_of(who)
        with transaction.atomic():
            answer = world.asks(who, address, what)
            found[who] = told(answer, expected)
            for close in answer._resource_closers:
                close()
            transaction.set_rollback(True)
    assert found == dict(zip(WHO, what.cells, strict=True))


@pytest.mark.django_db
@pytest.mark.parametrize("address", [one for one in TABLE if "{public_id}" in one])
def test_a_stranger_cannot_tell_a_session_from_none(address: str) -> None:
    """The same answer, to the letter, with an id that is nobody's."""
    world, what = World(), TABLE[address]
    nobody = str(uuid.uuid4())
    there = Line(what.cells, what.body, what.parameters)
    none = Line(what.cells, what.body, what.parameters | {"public_id": nobody})
    for who in ("anonymous", "stranger"):
        answers = [world.asks(who, address, one) for one in (there, none)]
        seen = [
            (one.status_code, one.content.replace(nobody.encode(), b""))
            for one in answers
        ]
        assert seen[0] == seen[1]
        assert dict(answers[0].headers) == dict(answers[1].headers)


@pytest.mark.parametrize("address", SOCKETS)
@pytest.mark.django_db(transaction=True)
async def test_everybody_is_let_into_the_sockets_as_the_table_says(
    address: str,
) -> None:
    in_db = database_sync_to_async
    world = await in_db(World)()
    await in_db(events.append)(world.session.pk, "notice", {})
    found = {who: await _socket(world, who, address) for who in WHO}
    assert found == dict(zip(WHO, SOCKETS[address], strict=True))


async def _socket(world: World, who: str, address: str) -> Cell:
    path = address.removeprefix("WS ").format(**world.parameters)
    stream = f"?consent=true&stream={uuid.uuid4()}"
    query = stream if path.endswith("/audio") else "?"
    headers = [(b"host", b"localhost"), (b"origin", b"http://localhost")]
    person = world.people[who]
    if person is not None:
        client = await database_sync_to_async(world.client_of)(who)
        cookie = f"sessionid={client.cookies['sessionid'].value}"
        headers.append((b"cookie", cookie.encode()))
    if who == "link":
        query += f"&token={access.token_of(world.session)}"
    socket = WebsocketCommunicator(application, f"{path}{query}", headers=headers)
    accepted, _ = await socket.connect(timeout=5)
    assert accepted  # a refusal comes as a close code
    first = await socket.receive_output(timeout=5)
    await socket.disconnect(timeout=5)
    return int(first["code"]) if first["type"] == "websocket.close" else OPENS


# --- the administration: by a rule ----------------------------------------------------

FOR_ALL_STAFF = {"index", "login", "logout", "password_change", "password_change_done"}
FOR_ALL_STAFF |= {"jsi18n", "search"}
"""What Django shows to whoever is staff, without another permission."""


def _example(path: str) -> str:
    """An address of the admin with something in each place; nothing is found there."""
    return re.sub(r"\{\w+\}|\(\?P.*$", "1", path).replace("^", "").replace("$", "")


ADMIN = sorted(administration())


@pytest.mark.django_db
def test_the_admins_pages_are_for_staff_with_a_permission_only(
    settings: Settings,
) -> None:
    world = World()
    world.people["clerk"] = a_user("clerk", staff=True)  # and no permission
    outside = [who for who in WHO if who not in ("moderator", "admin")]
    assert len(ADMIN) > 50
    wrong = []
    for path, name in ADMIN:
        if name == "login":
            continue  # it is for everybody
        address = f"GET {_example(path)}"
        for who in outside:
            answer = world.asks(who, address, line(302))
            # Also what there is not: nobody learns which tables there are.
            if not (answer.status_code == 302 and "/admin/" in answer["Location"]):
                wrong.append((path, who, answer.status_code))
        if name in FOR_ALL_STAFF:
            continue
        answer = world.asks("clerk", address, line(403))
        if answer.status_code not in (302, 403, 404, 405):
            wrong.append((path, "clerk", answer.status_code))
    assert not wrong


@pytest.mark.django_db
def test_a_superuser_is_shown_every_page_of_the_admin() -> None:
    world = World()
    wrong = []
    for path, name in ADMIN:
        if name in ("logout", "login"):
            continue
        answer = world.asks("admin", f"GET {_example(path)}", line(200))
        to_login = answer.headers.get("Location", "").startswith("/admin/login")
        if answer.status_code >= 500 or to_login:
            wrong.append((path, answer.status_code))
    assert not wrong


@pytest.mark.django_db
def test_only_staff_signs_in_to_the_admin() -> None:
    User.objects.create_user("ada", password="parley")
    form = {"username": "ada", "password": "parley"}
    answer = Client(headers={"host": "localhost"}).post("/admin/login/", form)
    assert answer.status_code == 200
    assert b"staff account" in answer.content
