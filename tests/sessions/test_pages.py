"""The pages without a browser: who sees what, and what the answers tell a browser."""

from __future__ import annotations

import json
import re
import uuid

import pytest
from django.contrib.auth.models import User
from django.test import Client

from sessions import opening
from sessions.forms import languages
from sessions.models import State, VoiceSession

pytestmark = pytest.mark.django_db
HOST = {"host": "localhost"}


@pytest.fixture
def ada() -> User:
    return User.objects.create_user("ada", password="parley")


@pytest.fixture
def signed_in(ada: User) -> Client:
    client = Client(headers=HOST)
    client.force_login(ada)
    return client


def test_it_says_what_it_is_to_strangers() -> None:
    answer = Client(headers=HOST).get("/")
    assert answer.status_code == 200
    assert b"Sign in to start a session" in answer.content


def test_it_lists_only_ones_own(signed_in: Client, ada: User) -> None:
    opening.open_browser_session(owner=ada, title="Mine")
    opening.open_browser_session(owner=None, title="Somebody else's")
    content = signed_in.get("/").content.decode()
    assert "Mine" in content
    assert "Somebody else" not in content


def test_it_opens_a_session_by_form(signed_in: Client, ada: User) -> None:
    form = {"title": " Plans ", "language": "de", "record": ""}
    answer = signed_in.post("/session/new", form)
    session = VoiceSession.objects.get()
    assert (session.title, session.language, session.record) == ("Plans", "de", False)
    assert session.owner == ada
    assert answer.status_code == 302
    assert re.fullmatch(
        rf"/session/{session.public_id}\?token=[\w-]{{32}}", answer.headers["Location"]
    )
    assert Client(headers=HOST).get(answer.headers["Location"]).status_code == 200


@pytest.mark.parametrize("form", [{"language": "klingon"}, {"title": "x" * 201}])
def test_it_gives_a_wrong_form_back(signed_in: Client, form: dict[str, str]) -> None:
    answer = signed_in.post("/session/new", form)
    assert answer.status_code == 422
    assert b'class="error"' in answer.content
    assert not VoiceSession.objects.exists()


def test_it_lets_strangers_open_nothing() -> None:
    answer = Client(headers=HOST).post("/session/new", {})
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/login")
    assert not VoiceSession.objects.exists()


def test_it_wants_the_token_of_the_form(ada: User) -> None:
    client = Client(headers=HOST, enforce_csrf_checks=True)
    client.force_login(ada)
    answer = client.post("/session/new", {})
    assert answer.status_code == 403
    assert b"That did not go through" in answer.content


@pytest.mark.parametrize("token", ["", "wrong"])
def test_it_shows_a_session_only_to_who_may_open_it(token: str) -> None:
    made = opening.open_browser_session(owner=None)
    client = Client(headers=HOST)
    address = f"/session/{made.session.public_id}"
    answer = client.get(address, {"token": token})
    assert answer.status_code == 404
    assert b"There is nothing here" in answer.content
    assert client.get(address, {"token": made.token}).status_code == 200


def test_it_knows_no_other_session() -> None:
    answer = Client(headers=HOST).get(f"/session/{uuid.uuid4()}")
    assert answer.status_code == 404
    assert b"There is nothing here" in answer.content


def test_it_tells_the_page_what_it_needs() -> None:
    made = opening.open_browser_session(owner=None, title="</script><b>x</b>")
    session = made.session
    answer = Client(headers=HOST).get(
        f"/session/{session.public_id}", {"token": made.token}
    )
    content = answer.content.decode()
    assert "<b>x</b>" not in content
    found = re.search(r'id="session-config"[^>]*>(.*?)</script>', content, re.DOTALL)
    assert found
    config = json.loads(found[1])
    assert config["state"] == State.ACTIVE
    assert config["api_url"] == f"/api/sessions/{session.public_id}"
    assert config["token"] == made.token
    assert config["last_seq"] == session.last_seq


def test_it_keeps_the_token_from_other_sites() -> None:
    made = opening.open_browser_session(owner=None)
    answer = Client(headers=HOST).get(
        f"/session/{made.session.public_id}", {"token": made.token}
    )
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("address", ["/", "/login", "/nowhere"])
def test_it_allows_no_foreign_or_inline_script(address: str) -> None:
    answer = Client(headers=HOST).get(address)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "ws://localhost wss://localhost" in policy
    scripts = re.findall(r"<script[^>]*>[^<]*", answer.content.decode())
    assert all("src=" in script for script in scripts)


def test_it_sends_the_policy_with_refusals_too() -> None:
    answer = Client(headers={"host": "else; script-src *"}).get("/")
    assert answer.status_code == 400
    assert "else" not in answer.headers["Content-Security-Policy"]


def test_it_offers_languages_the_api_takes() -> None:
    codes = [code for code, _ in languages()]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"([a-z]{2,3})?", code) for code in codes)
