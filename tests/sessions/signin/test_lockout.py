"""Who tries many passwords is shut out, in every process, for a while."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.core.cache import cache
from django.http import HttpRequest
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from sessions.signin import lockout

pytestmark = pytest.mark.django_db
HOME, ELSEWHERE = "198.51.100.7", "203.0.113.9"
SPELLINGS = ("ada", "Ada", "ADA", "aDa", " ada ", "ａｄａ", "ＡＤＡ")


@pytest.fixture(autouse=True)
def ada(settings: Settings) -> User:
    settings.TRUSTED_PROXIES = 1
    # Hundreds of passwords are tried: not each for half a second.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return User.objects.create_user("ada", password="a quiet evening", is_staff=True)


def tries(
    password: str, *, name: str = "ada", come_from: str = HOME, at: str = "/login"
) -> Any:
    cache.clear()  # each time in another process: what one remembers is not enough
    field = "username" if at.startswith("/admin") else "login"
    return Client().post(
        at,
        {field: name, "password": password},
        headers={"X-Forwarded-For": come_from},
    )


@pytest.mark.parametrize("at", ["/login", "/admin/login/"])
def test_ten_wrong_ones_shut_the_door(settings: Settings, at: str) -> None:
    for _ in range(settings.AXES_FAILURE_LIMIT - 1):
        assert tries("wrong", at=at).status_code == 200
    answer = tries("wrong", at=at)
    assert answer.status_code == 429
    assert b"Not so fast" in answer.content
    assert tries("a quiet evening", at=at).status_code == 429
    other = tries("a quiet evening", at=at, come_from=ELSEWHERE)
    assert other.status_code == 302, "somebody else's guesses lock nobody out"
    AccessAttempt.objects.update(
        attempt_time=timezone.now() - settings.AXES_COOLOFF_TIME - timedelta(seconds=1)
    )
    assert tries("a quiet evening", at=at).status_code == 302


def test_the_right_one_forgets_the_wrong_ones(settings: Settings) -> None:
    for _ in range(2):
        for _ in range(settings.AXES_FAILURE_LIMIT - 1):
            assert tries("wrong").status_code == 200
        assert tries("a quiet evening").status_code == 302
    assert not AccessAttempt.objects.exists()


def test_names_that_nobody_has_are_no_way_to_tell_who_is_here(
    settings: Settings,
) -> None:
    for _ in range(settings.AXES_FAILURE_LIMIT - 1):
        here, nobody = tries("wrong"), tries("wrong", name="nobody")
        assert here.status_code == nobody.status_code == 200
    assert tries("wrong", name="nobody").status_code == 429


def test_passwords_are_not_kept(settings: Settings) -> None:
    tries("what only ada knows")
    row = AccessAttempt.objects.get()
    assert "what only ada knows" not in f"{row.post_data}{row.get_data}{row.path_info}"
    assert (row.username, row.ip_address) == ("ada", HOME)


@pytest.mark.parametrize("at", ["/login", "/admin/login/"])
def test_a_name_spelled_otherwise_is_the_same_name(settings: Settings, at: str) -> None:
    for number in range(settings.AXES_FAILURE_LIMIT - 1):
        name = SPELLINGS[number % len(SPELLINGS)]
        assert tries("wrong", name=name, at=at).status_code == 200
    assert tries("wrong", name="aDA", at=at).status_code == 429
    for name in SPELLINGS:
        assert tries("a quiet evening", name=name, at=at).status_code == 429
    assert tries("a quiet evening", name="aDa", come_from=ELSEWHERE).status_code == 302


def test_the_right_one_forgets_those_of_all_spellings(settings: Settings) -> None:
    for name in ("Ada", "ADA"):
        for _ in range(settings.AXES_FAILURE_LIMIT - 1):
            assert tries("wrong", name=name).status_code == 200
        assert tries("a quiet evening", name="aDa").status_code == 302


def counted_as(name: str) -> str:
    return lockout.name(HttpRequest(), {"username": name})


def test_whatever_finds_the_same_account_is_counted_as_one() -> None:
    """allauth finds an account by its name in lower case."""
    signs = map(chr, range(sys.maxunicode + 1))
    capitals = [one for one in signs if one.lower() != one]
    assert len(capitals) > 1000
    assert not [c for c in capitals if counted_as(c) != counted_as(c.lower())]


def test_a_name_that_is_long_when_spelled_out_fits_into_the_table() -> None:
    assert len(counted_as("\ufdfa" * 150)) == lockout.NAME_MAX


@pytest.mark.parametrize("at", ["/login", "/admin/login/"])
def test_an_address_that_tries_many_names_is_shut_out(
    settings: Settings, at: str
) -> None:
    settings.FAILURES_PER_ADDRESS = settings.AXES_FAILURE_LIMIT + 4
    User.objects.create_user("eve", password="her own", is_staff=True)
    for number in range(settings.FAILURES_PER_ADDRESS - 1):
        assert tries("wrong", name=f"name{number}", at=at).status_code == 200
        if number % 5 == 0:  # her own account buys her nothing
            assert tries("her own", name="eve", at=at).status_code == 302
    assert tries("wrong", name="one more", at=at).status_code == 429
    assert tries("a quiet evening", at=at).status_code == 429
    other = tries("a quiet evening", at=at, come_from=ELSEWHERE)
    assert other.status_code == 302, "somebody else's guesses lock nobody out"
    AccessAttempt.objects.update(
        attempt_time=timezone.now() - settings.AXES_COOLOFF_TIME - timedelta(seconds=1)
    )
    assert tries("a quiet evening", at=at).status_code == 302


def test_where_nobody_knows_the_address_only_names_are_shut_out(
    settings: Settings,
) -> None:
    settings.FAILURES_PER_ADDRESS = settings.AXES_FAILURE_LIMIT
    for number in range(settings.FAILURES_PER_ADDRESS + 1):
        answer = tries("wrong", name=f"name{number}", come_from="nowhere")
        assert answer.status_code == 200
    assert tries("a quiet evening", come_from="nowhere").status_code == 302


def test_all_addresses_of_one_ipv6_network_are_one(settings: Settings) -> None:
    for number in range(settings.AXES_FAILURE_LIMIT - 1):
        here = f"2001:db8:0:7::{number:x}"
        assert tries("wrong", come_from=here).status_code == 200
    assert tries("wrong", come_from="2001:db8:0:7:ffff::1").status_code == 429
    neighbour = "2001:db8:0:8::1"
    assert tries("a quiet evening", come_from=neighbour).status_code == 302
