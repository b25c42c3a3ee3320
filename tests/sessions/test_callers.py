"""Who calls: header, cookie or a link's token, and what each is worth."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest
from django.test import Client, RequestFactory
from scene import a_user, an_open_session

from sessions import access, tokens
from sessions.callers import Caller, identify
from sessions.errors import VoiceError
from sessions.models import ApiToken

pytestmark = pytest.mark.django_db


def request(
    method: str = "GET", *, path: str = "/", user: User | None = None, **headers: str
) -> HttpRequest:
    client = Client()
    if user:
        client.force_login(user)
    made: HttpRequest = RequestFactory(headers=headers).generic(method, path)
    made.session = client.session
    made.user = AnonymousUser()
    return made


def api_token(user: User) -> str:
    token = tokens.new_token()
    ApiToken.objects.create(user=user, token_sha256=tokens.digest(token))
    return token


def test_nobody_is_nobody() -> None:
    assert identify(request()) is None
    assert identify(request(authorization="Basic abc")) is None
    assert identify(request(authorization="Bearer   ")) is None


def test_an_api_token_in_the_header_is_its_user() -> None:
    ada = a_user()
    token = api_token(ada)
    assert identify(request("POST", authorization=f"Bearer {token}")) == Caller(
        ada, token
    )
    assert identify(request(authorization=f"bearer {token}")) == Caller(ada, token)


def test_an_api_token_in_an_address_is_nobody() -> None:
    token = api_token(a_user())
    assert identify(request(path=f"/?token={token}")) == Caller(None, token)


def test_the_token_of_somebody_inactive_is_nobody() -> None:
    ada = a_user()
    token = api_token(ada)
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert identify(request(authorization=f"Bearer {token}")) == Caller(None, token)


def test_a_cookie_may_read() -> None:
    ada = a_user()
    assert identify(request(user=ada)) == Caller(ada)


def test_a_cookie_alone_may_not_change_anything() -> None:
    with pytest.raises(VoiceError) as caught:
        identify(request("POST", user=a_user()))
    assert (caught.value.code, caught.value.status) == ("csrf", 403)


def test_a_sessions_token_needs_no_csrf_and_gives_no_cookies_rights() -> None:
    made = request("POST", path="/?token=abc", user=a_user())
    assert identify(made) == Caller(None, "abc")


def test_a_wrong_token_in_the_link_does_not_lock_its_owner_out() -> None:
    ada = a_user()
    session = an_open_session(owner=ada).session
    caller = identify(request(path="/?token=old", user=ada))
    assert caller == Caller(ada, "old")
    found = access.session_for(session.public_id, user=caller.user, token=caller.token)
    assert found == session
