"""So many changes a minute are taken from one caller of the API, and no more."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings
from scene import Clock, a_user, an_open_session
from stack import redis_server

from sessions import callers, tokens
from sessions.opening import Opened
from sessions.rates import Rates, TooManyError

HERE, NEIGHBOUR, ELSEWHERE = "2001:db8:0:7::1", "2001:db8:0:7::2", "192.0.2.7"


@pytest.fixture
def clock() -> Clock:
    return Clock(1020.0)  # a minute begins


@pytest.fixture(autouse=True)
def rates(settings: Settings, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Rates:
    settings.API_CHANGES_PER_MINUTE = 3
    settings.TRUSTED_PROXIES = 1
    made = Rates(wall=clock)
    monkeypatch.setattr(callers, "rates", made)
    return made


def spend_all(rates: Rates, who: str = "user:1") -> None:
    for _ in range(3):
        rates.spend(who)


def test_one_more_waits_for_the_next_minute(rates: Rates, clock: Clock) -> None:
    clock.passes(14.5)
    spend_all(rates)
    with pytest.raises(TooManyError) as caught:
        rates.spend("user:1")
    assert (caught.value.status, caught.value.retry_after_s) == (429, 46)
    rates.spend("user:2")
    clock.passes(46)
    spend_all(rates)


def test_zero_is_no_bound(settings: Settings, rates: Rates) -> None:
    settings.API_CHANGES_PER_MINUTE = 0
    for _ in range(10):
        rates.spend("user:1")


def test_only_this_minute_is_remembered(rates: Rates, clock: Clock) -> None:
    for number in range(100):
        rates.spend(f"user:{number}")
    clock.passes(60)
    rates.spend("user:1")
    assert list(rates._here) == ["user:1"]


def cached_in(address: str) -> dict[str, Any]:
    redis = {"BACKEND": "django.core.cache.backends.redis.RedisCache"}
    memory = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    return {"default": memory, "live": redis | {"LOCATION": address}}


def test_with_redis_all_processes_count_together(
    settings: Settings, clock: Clock
) -> None:
    one, other = Rates(wall=clock), Rates(wall=clock)
    with redis_server() as address:
        settings.REDIS_URL, settings.CACHES = address, cached_in(address)
        spend_all(one)
        with pytest.raises(TooManyError):
            other.spend("user:1")
        other.spend("user:2")
        clock.passes(60)
        spend_all(other)
    spend_all(one)  # Redis is gone: each for itself, from nothing on
    with pytest.raises(TooManyError):
        one.spend("user:1")


# --- over HTTP ------------------------------------------------------------------------


@pytest.fixture
def opened() -> Opened:
    return an_open_session(owner=a_user("ada"))


def takes_a_note(opened: Opened, token: str, *, come_from: str = HERE) -> Any:
    return Client().post(
        f"/api/sessions/{opened.session.public_id}/bookmarks",
        {"text": "here"},
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}", "X-Forwarded-For": come_from},
    )


@pytest.mark.django_db
def test_an_account_is_told_when_to_come_again(opened: Opened, clock: Clock) -> None:
    assert opened.session.owner is not None
    first, second = (tokens.make(opened.session.owner) for _ in range(2))
    for token in (first, second, first):
        assert takes_a_note(opened, token).status_code == 201
    for token, come_from in ((first, HERE), (second, ELSEWHERE)):
        refused = takes_a_note(opened, token, come_from=come_from)
        assert refused.status_code == 429
        assert refused.headers["Retry-After"] == "60"
        assert refused.json() == {
            "code": "too_many_requests",
            "message": "Too many changes in a minute. Try again in 60 seconds.",
        }
    assert takes_a_note(opened, opened.token).status_code == 201, "who has the link"
    assert opened.session.bookmarks.count() == 4
    clock.passes(60)
    assert takes_a_note(opened, first).status_code == 201


@pytest.mark.django_db
def test_whoever_has_a_link_is_known_by_their_network(opened: Opened) -> None:
    for come_from in (HERE, NEIGHBOUR, HERE):
        answer = takes_a_note(opened, opened.token, come_from=come_from)
        assert answer.status_code == 201
    for come_from, status in ((NEIGHBOUR, 429), (ELSEWHERE, 201), ("nowhere", 201)):
        answer = takes_a_note(opened, opened.token, come_from=come_from)
        assert answer.status_code == status


@pytest.mark.django_db
def test_who_only_reads_is_not_counted(opened: Opened) -> None:
    token = tokens.make(a_user("eve"))
    for _ in range(5):
        answer = Client().get(
            "/api/sessions", headers={"Authorization": f"Bearer {token}"}
        )
        assert answer.status_code == 200
