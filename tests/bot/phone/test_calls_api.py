"""Calls over HTTP: announced, looked up, handed over."""

from __future__ import annotations

import math
import uuid
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from bot.phone import calls
from sessions import tokens
from sessions.models import ApiToken, SessionEvent, Source, State

pytestmark = pytest.mark.django_db

UUID = uuid.UUID("0f0e0d0c-0b0a-4009-8807-060504030201")


@pytest.fixture
def somebody() -> dict[str, str]:
    return headers_of("asterisk")


def headers_of(name: str) -> dict[str, str]:
    user = get_user_model().objects.create_user(name)
    token = tokens.new_token()
    ApiToken.objects.create(user=user, token_sha256=tokens.digest(token))
    return {"Authorization": f"Bearer {token}"}


def post(path: str, body: dict[str, Any], headers: dict[str, str]) -> Any:
    return Client().post(
        f"/api/calls{path}", body, content_type="application/json", headers=headers
    )


def test_an_announced_call_is_answered_in_a_session_of_who_announced_it(
    somebody: dict[str, str],
) -> None:
    body = {"uuid": str(UUID), "caller": "+380 44\u202e 123", "language": "uk"}
    made = post("", body, somebody)
    assert made.status_code == 201
    assert made.json() == {
        "uuid": str(UUID),
        "session": None,
        "transfer_to": "",
        "ended": False,
    }
    call, session = calls.answer(UUID, strict=True)
    assert (session.source, session.state) == (Source.PHONE, State.ACTIVE)
    assert session.owner == call.registered_by
    assert (session.channel_id, session.language) == (str(UUID), "uk")
    assert session.title == "Call from +380 44 123"
    again = Client().get(f"/api/calls/{UUID}", headers=somebody).json()
    assert again["session"] == str(session.public_id)


def test_a_uuid_is_made_when_none_is_given(somebody: dict[str, str]) -> None:
    first, second = (post("", {}, somebody).json()["uuid"] for _ in range(2))
    assert uuid.UUID(first) != uuid.UUID(second)


def test_one_uuid_is_one_call(somebody: dict[str, str]) -> None:
    assert post("", {"uuid": str(UUID)}, somebody).status_code == 201
    again = post("", {"uuid": str(UUID)}, somebody)
    assert (again.status_code, again.json()["code"]) == (409, "taken")


def test_who_dials_again_finds_the_session_and_not_behind_its_end() -> None:
    _, session = calls.answer(UUID, strict=False)
    assert calls.answer(UUID, strict=True)[1] == session
    calls.ended(UUID, reason="hang_up")
    with pytest.raises(calls.CallEndedError):
        calls.answer(UUID, strict=False)


def test_strict_takes_only_what_was_announced_a_while_ago() -> None:
    with pytest.raises(calls.NotRegisteredError):
        calls.answer(UUID, strict=True)
    call = calls.register(calls.Registration(UUID), user=None)
    call.created_at -= calls.REGISTERED_FOR * 1.01
    call.save()
    with pytest.raises(calls.NotRegisteredError):
        calls.answer(UUID, strict=True)


def test_a_transfer_is_told_to_the_call_and_to_the_dialplan(
    somebody: dict[str, str],
) -> None:
    post("", {"uuid": str(UUID)}, somebody)
    early = post(f"/{UUID}/transfer", {"to": "200"}, somebody)
    assert (early.status_code, early.json()["code"]) == (409, "call_ended")
    calls.answer(UUID, strict=True)
    asked = post(f"/{UUID}/transfer", {"to": "support,200,1"}, somebody)
    assert asked.json()["transfer_to"] == "support,200,1"
    event = SessionEvent.objects.get(type="transfer")
    assert event.data == {"to": "support,200,1"}
    where = Client().get(f"/api/calls/{UUID}/next", headers=somebody)
    assert where.content == b"support,200,1"
    assert where["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("to", ["", "a b", "${SHELL(id)}", "a,b,c,d", "x" * 90, "a\n"])
def test_what_a_dialplan_would_evaluate_is_refused(
    somebody: dict[str, str], to: str
) -> None:
    post("", {"uuid": str(UUID)}, somebody)
    calls.answer(UUID, strict=True)
    asked = post(f"/{UUID}/transfer", {"to": to}, somebody)
    assert (asked.status_code, asked.json()["code"]) == (422, "bad_target")


@pytest.mark.parametrize(
    "body",
    [
        {"uuid": "no uuid"},
        {"caller": "x" * 65},
        {"language": "english"},
        {"metadata": []},
        {"metadata": {"x": "y" * 5_000}},
        {"metadata": {"x": "\0"}},
        {"metadata": {"x": ["so far", {"good": "\ud800"}]}},
        {"metadata": {"\udfff": 1}},
        {"metadata": {"x": math.nan}},
        {"metadata": {"x": [math.inf]}},
    ],
)
def test_bad_announcements_are_told(
    somebody: dict[str, str], body: dict[str, Any]
) -> None:
    assert post("", body, somebody).status_code == 422


@pytest.mark.parametrize(
    ("levels", "status"), [(20, 201), (21, 422), (500, 422), (5000, 422)]
)
def test_metadata_are_so_deep_and_no_deeper(
    somebody: dict[str, str], levels: int, status: int
) -> None:
    lists = levels - 1
    body = f'{{"metadata": {{"x": {"[" * lists}1{"]" * lists}}}}}'
    answer = Client().post("/api/calls", body, "application/json", headers=somebody)
    assert answer.status_code == status


def test_a_stranger_learns_nothing(somebody: dict[str, str]) -> None:
    post("", {"uuid": str(UUID)}, somebody)
    stranger = headers_of("stranger")
    for path in ("", "/next"):
        found = Client().get(f"/api/calls/{UUID}{path}", headers=stranger)
        assert (found.status_code, found.json()["code"]) == (404, "no_such_call")
        assert Client().get(f"/api/calls/{UUID}{path}").status_code == 401
    assert post("", {}, {}).status_code == 401
