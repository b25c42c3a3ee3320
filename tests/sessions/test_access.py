"""Who may open a session, and who is not even told that it exists."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser
from scene import a_session, a_user, an_open_session

from sessions import access
from sessions.errors import NotAllowedError, SessionNotFoundError
from sessions.models import ApiToken, State

pytestmark = pytest.mark.django_db

UNKNOWN = "3dae4908-d4e6-4e3a-b673-376012d6ccb6"


def test_its_token_opens_a_session_and_no_other() -> None:
    one, other = an_open_session(), an_open_session()
    found = access.session_for(one.session.public_id, token=one.token)
    assert found == one.session
    with pytest.raises(NotAllowedError):
        access.session_for(one.session.public_id, token=other.token)


@pytest.mark.parametrize("token", ["", "x", "\x00", "ü" * 32, "\ud800", "a" * 10_000])
def test_no_other_token_does(token: str) -> None:
    made = an_open_session()
    with pytest.raises(NotAllowedError):
        access.session_for(made.session.public_id, token=token)


def test_its_owner_and_moderators_may_and_strangers_may_not() -> None:
    ada, ben, mod = a_user("ada"), a_user("ben"), a_user("mod", staff=True)
    session = an_open_session(owner=ada).session
    assert access.session_for(session.public_id, user=ada) == session
    assert access.session_for(session.public_id, user=mod) == session
    for stranger in (ben, AnonymousUser()):
        with pytest.raises(NotAllowedError):
            access.session_for(session.public_id, user=stranger)


@pytest.mark.parametrize("public_id", ["", "x", "\x00", UNKNOWN, "9" * 500])
def test_an_id_that_is_none_is_not_found(public_id: str) -> None:
    with pytest.raises(SessionNotFoundError):
        access.find(public_id)


def test_a_deleted_session_is_not_found() -> None:
    with pytest.raises(SessionNotFoundError):
        access.find(a_session(State.DELETED).public_id)


def test_an_api_token_names_its_user_while_they_are_active() -> None:
    ada = a_user()
    ApiToken.objects.create(user=ada, token_sha256=access.digest("secret"))
    assert access.user_of("secret") == ada
    ada.is_active = False
    ada.save()
    assert access.user_of("secret") is None
    assert access.user_of("") is None
