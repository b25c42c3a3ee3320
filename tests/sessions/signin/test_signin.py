"""Signing in by name and password, and with a Discord on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from allauth.socialaccount.models import SocialAccount, SocialToken
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.checks import run_checks
from django.test import Client
from django.utils import timezone
from oauth_discord import API, CLIENT, SECRET, OAuthDiscord
from pytest_django.fixtures import Settings
from scene import a_session, a_user

from sessions import access, guilds, queries
from sessions.models import ManagedGuild, State

pytestmark = pytest.mark.django_db
HOST = {"host": "localhost"}


@pytest.fixture(autouse=True)
def _no_attempts() -> None:
    cache.clear()


@pytest.fixture
def discord(settings: Settings) -> Iterator[OAuthDiscord]:
    with OAuthDiscord() as server:
        settings.DISCORD_CLIENT_ID = CLIENT
        settings.DISCORD_CLIENT_SECRET = SECRET
        settings.DISCORD_OAUTH_URL = server.url
        yield server


def signs_in(client: Client, **query: str) -> Any:
    """As a browser does: our button, Discord's page, and back; the last answer."""
    path = "/login/discord" + (f"?process={query['process']}" if query else "")
    sent = client.post(path, headers=HOST)
    assert sent.status_code == 302, sent.content
    consented = requests.get(sent.headers["Location"], allow_redirects=False, timeout=9)
    back = urlsplit(consented.headers["Location"])
    assert (back.scheme, back.netloc) == ("http", "localhost")
    return client.get(f"{back.path}?{back.query}", headers=HOST)


def who_is(client: Client) -> str:
    user = client.get("/", headers=HOST).context["user"]
    return str(user.get_username())


# --- name and password ----------------------------------------------------------------


def test_a_name_and_a_password_sign_in_and_lead_on() -> None:
    User.objects.create_user("ada", password="parley")
    client = Client()
    form = {"login": "ada", "password": "parley", "next": "/search"}
    answer = client.post("/login", form, headers=HOST)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/search")
    assert who_is(client) == "ada"
    assert client.post("/logout", headers=HOST).headers["Location"] == "/"
    assert who_is(client) == ""


def test_a_wrong_password_is_told_kindly_and_not_for_ever() -> None:
    User.objects.create_user("ada", password="parley")
    client = Client()
    form = {"login": "ada", "password": "wrong"}
    answer = client.post("/login", form, headers=HOST)
    assert answer.status_code == 200
    assert b"do not match" in answer.content
    for _ in range(6):
        answer = client.post("/login", form, headers=HOST)
    assert b"Too many attempts" in answer.content


def test_it_leads_to_no_other_site() -> None:
    User.objects.create_user("ada", password="parley")
    form = {"login": "ada", "password": "parley", "next": "https://evil.test/"}
    answer = Client().post("/login", form, headers=HOST)
    assert answer.headers["Location"] == "/"


def test_a_closed_account_is_told_so() -> None:
    User.objects.create_user("ada", password="parley", is_active=False)
    form = {"login": "ada", "password": "parley"}
    answer = Client().post("/login", form, headers=HOST, follow=True)
    assert b"This account is closed" in answer.content


def test_nobody_signs_up_unless_it_is_open(settings: Settings) -> None:
    form = {"username": "eve", "password1": "correct horse"}
    for answer in (
        Client().get("/signup", headers=HOST),
        Client().post("/signup", form, headers=HOST),
    ):
        assert answer.status_code == 404
    assert not User.objects.exists()
    settings.OPEN_SIGN_UP = True
    assert b"Make an account" in Client().get("/signup", headers=HOST).content
    weak = Client().post("/signup", form | {"password1": "12345"}, headers=HOST)
    assert b"too short" in weak.content
    client = Client()
    assert client.post("/signup", form, headers=HOST).status_code == 302
    assert who_is(client) == "eve"
    assert not User.objects.get().is_staff


def test_signing_out_asks_first_when_it_is_only_an_address() -> None:
    client = Client()
    client.force_login(a_user("ada"))
    assert b"Sign out?" in client.get("/logout", headers=HOST).content
    assert who_is(client) == "ada"


# --- Discord --------------------------------------------------------------------------


def test_without_a_client_id_there_is_no_discord() -> None:
    client = Client()
    assert b"Discord" not in client.get("/login", headers=HOST).content
    for path in ("/login/discord", "/login/discord/callback", "/login/cancelled"):
        assert client.get(path, headers=HOST).status_code == 404
        assert client.post(path, headers=HOST).status_code == 404


def test_the_button_leads_to_discord_and_the_policy_lets_it(
    discord: OAuthDiscord,
) -> None:
    client = Client()
    page = client.get("/login?next=/search", headers=HOST)
    assert b"Sign in with Discord" in page.content
    policy = page.headers["Content-Security-Policy"]
    assert f"form-action 'self' {discord.url};" in policy
    assert client.get("/login/discord", headers=HOST).status_code == 200
    sent = client.post("/login/discord?scope=guilds.join", headers=HOST)
    requests.get(sent.headers["Location"], allow_redirects=False, timeout=9)
    (query,) = discord.queries
    assert set(query["scope"][0].split()) == {"identify", "guilds"}
    assert query["client_id"] == [CLIENT]
    assert query["redirect_uri"] == ["http://localhost/login/discord/callback"]


def test_behind_a_proxy_discord_is_told_the_public_address(
    discord: OAuthDiscord, settings: Settings
) -> None:
    settings.PUBLIC_URL = "https://parley.example.org"
    sent = Client().post("/login/discord", headers=HOST)
    assert "redirect_uri=https%3A%2F%2Fparley.example.org%2Flogin" in sent["Location"]


def test_a_discord_user_signs_in_and_sees_the_calls_they_took_part_in(
    discord: OAuthDiscord,
) -> None:
    call = a_session(State.READY, guild_id="77")
    call.participants.create(key="discord:500", name="Eve")
    other = a_session(State.READY, guild_id="77")
    client = Client()
    answer = signs_in(client)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
    assert who_is(client) == "eve"
    assert client.get(f"/session/{call.public_id}", headers=HOST).status_code == 200
    assert client.get(f"/session/{other.public_id}", headers=HOST).status_code == 404
    account = SocialAccount.objects.get()
    assert account.extra_data == {"id": "500", "username": "eve", "global_name": "Eve"}
    assert not account.user.has_usable_password()
    assert not SocialToken.objects.exists()


def test_a_guilds_manager_sees_its_calls_and_is_asked_anew_each_time(
    discord: OAuthDiscord,
) -> None:
    call = a_session(State.READY, guild_id="77")
    discord.guilds = [
        {"id": "77", "owner": False, "permissions": "32"},
        {"id": "78", "owner": False, "permissions": "1024"},
    ]
    client = Client()
    signs_in(client)
    eve = User.objects.get()
    assert list(queries.visible_to(eve)) == [call]
    assert access.may_manage(call, eve)
    assert [row.guild_id for row in ManagedGuild.objects.all()] == ["77"]
    discord.guilds = []
    signs_in(Client())
    assert User.objects.get() == eve
    assert not queries.visible_to(eve).exists()


def test_a_managers_right_wears_out_and_comes_back(discord: OAuthDiscord) -> None:
    call = a_session(State.READY, guild_id="77")
    discord.guilds = [{"id": "77", "owner": True, "permissions": "0"}]
    signs_in(Client())
    eve = User.objects.get()
    old = timezone.now() - timedelta(days=8)
    ManagedGuild.objects.update(seen_at=old)
    assert not access.may_open(call, eve)
    signs_in(Client())
    assert access.may_open(call, eve)


def test_a_taken_name_is_not_taken_over(discord: OAuthDiscord) -> None:
    root = User.objects.create_superuser("eve", password="parley")
    client = Client()
    signs_in(client)
    assert who_is(client) not in ("", "eve")
    assert SocialAccount.objects.get().user != root


def test_who_says_no_at_discord_is_not_signed_in(discord: OAuthDiscord) -> None:
    discord.consents = False
    client = Client()
    answer = signs_in(client)
    assert answer.status_code == 302
    page = client.get(answer.headers["Location"], headers=HOST)
    assert page.status_code == 200
    assert b"You are not signed in" in page.content
    assert who_is(client) == ""
    assert not discord.asked


def nothing_happened(answer: Any) -> None:
    assert answer.status_code == 401
    assert b"That did not work" in answer.content
    assert not User.objects.exists()
    assert not ManagedGuild.objects.exists()


@pytest.mark.parametrize("path", ["/oauth2/token", "/users/@me", "/users/@me/guilds"])
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"oops"),
        (503, b""),
        (401, b'{"message": "401: Unauthorized"}'),
        (429, b'{"retry_after": 1}'),
        (200, b""),
        (200, b"<html>"),
        (200, b"null"),
        (200, b"7"),
        (200, b'"x"'),
        (200, b"[7]"),
        (200, b'{"id": {}, "username": []}'),
        (200, b'{"access_token": "t", "expires_in": "soon"}'),
        (200, b'{"access_token": "t", "expires_in": 1e30}'),
    ],
)
def test_a_bad_answer_is_a_clear_page(
    discord: OAuthDiscord, path: str, status: int, body: bytes
) -> None:
    discord.misbehaves(f"{API}{path}", status=status, body=body)
    nothing_happened(signs_in(Client()))


def test_when_discord_is_away_that_is_told(discord: OAuthDiscord) -> None:
    client = Client()
    sent = client.post("/login/discord", headers=HOST)
    consented = requests.get(sent.headers["Location"], allow_redirects=False, timeout=9)
    discord._server.socket.close()
    back = urlsplit(consented.headers["Location"])
    nothing_happened(client.get(f"{back.path}?{back.query}", headers=HOST))


@pytest.mark.parametrize(
    "query", ["", "?code=a-code", "?code=a-code&state=forged", "?error=server_error"]
)
def test_a_callback_nobody_asked_for_is_refused(
    discord: OAuthDiscord, query: str
) -> None:
    nothing_happened(Client().get(f"/login/discord/callback{query}", headers=HOST))
    assert not discord.asked


def test_an_account_with_a_password_is_connected_with_discord(
    discord: OAuthDiscord,
) -> None:
    ada = a_user("ada")
    call = a_session(State.READY)
    call.participants.create(key="discord:500", name="Eve")
    client = Client()
    client.force_login(ada)
    assert b"Connect Discord" in client.get("/account", headers=HOST).content
    answer = signs_in(client, process="connect")
    assert answer.headers["Location"] == "/account"
    assert b"Eve" in client.get("/account", headers=HOST).content
    assert User.objects.get() == ada
    assert access.may_open(call, ada)
    account = SocialAccount.objects.get()
    client.post("/account", {"account": account.pk}, headers=HOST)
    assert SocialAccount.objects.exists()  # without a password it is the only way in
    ada.set_password("parley")
    ada.save()
    client.force_login(ada)
    client.post("/account", {"account": account.pk}, headers=HOST)
    assert not SocialAccount.objects.exists()
    assert not access.may_open(call, ada)


def test_a_discord_user_belongs_to_one_account(discord: OAuthDiscord) -> None:
    signs_in(Client())
    client = Client()
    client.force_login(a_user("ada"))
    signs_in(client, process="connect")
    page = client.get("/account", headers=HOST)
    assert b"already connected to a different account" in page.content
    assert SocialAccount.objects.get().user.username == "eve"


def test_nobody_disconnects_somebody_elses(discord: OAuthDiscord) -> None:
    signs_in(Client())
    client = Client()
    client.force_login(a_user("ada"))
    account = SocialAccount.objects.get()
    client.post("/account", {"account": account.pk}, headers=HOST)
    assert SocialAccount.objects.exists()


def test_half_a_client_is_a_fault_of_the_settings(settings: Settings) -> None:
    settings.DISCORD_CLIENT_ID = CLIENT
    settings.DISCORD_OAUTH_URL = "discord.com"
    found = {one.id for one in run_checks()}
    assert {"sessions.E005", "sessions.E006"} <= found


def test_forgetting_keeps_what_still_counts() -> None:
    now = timezone.now()
    guilds.remember("1", ["77"], now=now - timedelta(days=8))
    guilds.remember("2", ["77"], now=now)
    assert guilds.forget_old(now=now) == 1
    assert ManagedGuild.objects.get().discord_id == "2"
