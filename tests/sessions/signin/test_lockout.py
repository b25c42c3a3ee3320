"""Who tries many passwords is shut out, in every process, for a while."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

pytestmark = pytest.mark.django_db
HOME, ELSEWHERE = "198.51.100.7", "203.0.113.9"


@pytest.fixture(autouse=True)
def ada(settings: Settings) -> User:
    settings.TRUSTED_PROXIES = 1
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
