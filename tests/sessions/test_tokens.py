"""API tokens: whose they are, what for, and how long."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from scene import NOON, a_user, an_open_session

from sessions import tokens
from sessions.errors import VoiceError
from sessions.models import ApiToken, Scope
from sessions.tokens import ExpiredTokenError, ScopeError

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def ada() -> User:
    return a_user("ada")


def test_a_token_names_its_user_while_they_are_active(ada: User) -> None:
    ApiToken.objects.create(user=ada, token_sha256=tokens.digest("secret"))
    assert tokens.user_of("secret", scope=Scope.READ) == ada
    ada.is_active = False
    ada.save()
    assert tokens.user_of("secret", scope=Scope.READ) is None
    assert tokens.user_of("", scope=Scope.READ) is None


def test_only_its_hash_is_stored(ada: User) -> None:
    token = tokens.make(ada)
    row = ApiToken.objects.get()
    assert row.token_sha256 == tokens.digest(token)
    assert token not in "".join(map(str, vars(row).values()))


def test_one_without_scopes_of_its_own_has_them_all(ada: User) -> None:
    token = tokens.make(ada)
    for scope in Scope:
        assert tokens.user_of(token, scope=scope) == ada


@pytest.mark.parametrize("scope", Scope)
def test_a_scope_is_good_for_nothing_else(ada: User, scope: Scope) -> None:
    token = tokens.make(ada, scopes=[scope])
    assert tokens.user_of(token, scope=scope) == ada
    for other in set(Scope) - {scope}:
        with pytest.raises(ScopeError) as caught:
            tokens.user_of(token, scope=other)
        assert (caught.value.code, caught.value.status) == ("scope", 403)
        assert other in caught.value.message


def test_it_is_good_for_its_days(ada: User) -> None:
    token, end = tokens.make(ada, days=2, now=NOON), NOON + timedelta(days=2)
    before = end - timedelta(seconds=1)
    assert tokens.user_of(token, scope=Scope.READ, now=before) == ada
    with pytest.raises(ExpiredTokenError) as caught:
        tokens.user_of(token, scope=Scope.READ, now=end)
    assert (caught.value.code, caught.value.status) == ("token_expired", 401)


@pytest.mark.parametrize("days", [0, -1, tokens.DAYS_MAX + 1, 10**12])
def test_days_that_make_no_sense_are_refused(ada: User, days: int) -> None:
    with pytest.raises(VoiceError, match="1 day to 3650 days"):
        tokens.make(ada, days=days)
    assert not ApiToken.objects.exists()


def test_its_last_use_is_known_to_the_hour(ada: User) -> None:
    token = tokens.make(ada, now=NOON)

    def last_used_after(later: timedelta) -> timedelta | None:
        tokens.user_of(token, scope=Scope.READ, now=NOON + later)
        at = ApiToken.objects.get().last_used_at
        return at - NOON if at else None

    assert ApiToken.objects.get().last_used_at is None
    assert last_used_after(HOUR) == HOUR
    assert last_used_after(1.9 * HOUR) == HOUR
    assert last_used_after(2 * HOUR) == 2 * HOUR


def test_what_was_refused_is_no_use(ada: User) -> None:
    calls = tokens.make(ada, scopes=[Scope.CALLS])
    over = tokens.make(ada, days=1, now=NOON)
    for token in (calls, over):
        with pytest.raises(VoiceError):
            tokens.user_of(token, scope=Scope.READ)
    assert not ApiToken.objects.exclude(last_used_at=None).exists()


def made(*words: str) -> str:
    said = StringIO()
    call_command("createtoken", *words, stdout=said)
    return said.getvalue().strip()


def test_the_command_prints_a_token_for_everything(ada: User) -> None:
    token = made("ada", "--label", "nightly export")
    row = ApiToken.objects.get()
    assert (row.user, row.label, row.expires_at) == (ada, "nightly export", None)
    assert row.scopes == "calls read write"
    assert row.token_sha256 == tokens.digest(token)


def test_the_command_makes_one_for_less(ada: User) -> None:
    began = timezone.now()
    made("ada", "--scope", "write", "--scope", "calls", "--days", "30")
    row = ApiToken.objects.get()
    assert row.scopes == "calls write"
    assert row.expires_at is not None
    assert timedelta(0) <= row.expires_at - began - timedelta(days=30) < HOUR


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["nobody"], "There is no user 'nobody'."),
        (["ada", "--days", "0"], "A token lasts from 1 day"),
        (["ada", "--scope", "everything"], "invalid choice: 'everything'"),
    ],
)
def test_the_command_says_what_is_wrong(ada: User, words: list[str], why: str) -> None:
    with pytest.raises(CommandError, match=why):
        made(*words)
    assert not ApiToken.objects.exists()


def test_the_admin_shows_what_it_is_for_and_when_it_was_used(
    ada: User, admin_client: Client
) -> None:
    token = tokens.make(ada, scopes=[Scope.CALLS], days=9, now=NOON)
    tokens.user_of(token, scope=Scope.CALLS, now=NOON + 30 * HOUR)
    page = admin_client.get("/admin/voice_sessions/apitoken/").content.decode()
    for told in ("calls", "May 4, 2026", "May 5, 2026", "May 13, 2026"):
        assert told in page


def test_over_http_each_refusal_says_why(ada: User) -> None:
    session = an_open_session(owner=ada).session
    expired = tokens.make(ada, days=1, now=NOON)
    other = tokens.make(ada, scopes=[Scope.CALLS])
    found = []
    for token in (expired, other):
        answer = Client().get(
            f"/api/sessions/{session.public_id}",
            headers={"Authorization": f"Bearer {token}"},
        )
        found.append((answer.status_code, *answer.json().values()))
    assert found == [
        (401, "token_expired", "This API token has expired."),
        (403, "scope", "This needs an API token with the scope read."),
    ]
