"""Who asked for a session that never came to be is known for a month, and no longer."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from scene import NOON, a_session

from sessions import queue
from sessions.models import Source, State, VoiceRequest

pytestmark = pytest.mark.django_db
LONG_AGO = NOON - timedelta(days=31)
SHORT_AGO = NOON - timedelta(days=29)


def asks(user: str, *, at: datetime) -> VoiceRequest:
    return queue.ask(
        source=Source.DISCORD,
        guild_id="77",
        user_id=user,
        user_name=user.title(),
        now=at,
    )


def is_taken(at: datetime = NOON) -> bool:
    return bool(queue.take_next(["77"], holder="bot", most=0, lease_s=60.0, now=at))


def known(request: VoiceRequest) -> tuple[str, str]:
    request.refresh_from_db()
    return request.user_id, request.user_name


def test_who_got_no_session_is_forgotten_after_a_month() -> None:
    old, new = asks("ada", at=LONG_AGO), asks("ben", at=SHORT_AGO)
    queue.drop(old.pk)
    queue.drop(new.pk)
    assert queue.forget_old(now=NOON) == 1
    assert known(old) == ("", "")
    assert known(new) == ("ben", "Ben")


def test_nobody_is_forgotten_twice() -> None:
    queue.drop(asks("ada", at=LONG_AGO).pk)
    assert queue.forget_old(now=NOON) == 1
    assert queue.forget_old(now=NOON) == 0


def test_whoever_has_a_session_is_known_as_long_as_it() -> None:
    request = asks("ada", at=LONG_AGO)
    assert is_taken()
    session = a_session(State.ACTIVE)
    assert queue.granted(request.pk, session.pk)
    assert queue.release(session.pk)
    assert queue.forget_old(now=NOON) == 0
    assert known(request) == ("ada", "Ada")


def test_nobody_waits_for_a_month() -> None:
    request = asks("ada", at=LONG_AGO)
    assert queue.forget_old(now=NOON) == 1
    assert known(request) == ("", "")
    assert request.state == "dropped"
    assert not is_taken()


def test_who_is_just_being_served_is_not_forgotten() -> None:
    request = asks("ada", at=LONG_AGO)
    assert is_taken()
    assert queue.forget_old(now=NOON) == 0
    assert known(request) == ("ada", "Ada")
