"""The state machine: the whole table, its races, and what the database forbids."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest
from django.db import IntegrityError, transaction
from scene import NOON, a_session, at_once

from sessions import events, lifecycle
from sessions.lifecycle import ALLOWED
from sessions.models import State, VoiceSession


def told(session: VoiceSession) -> list[str]:
    return [event.data["state"] for event in events.replay(session.pk, after=0)]


@pytest.mark.django_db
@pytest.mark.parametrize(("source", "to"), list(product(State, State)))
def test_it_moves_only_where_the_table_allows(source: State, to: State) -> None:
    session = a_session(source, started_at=NOON)
    moved = lifecycle.advance(session.pk, to)
    session.refresh_from_db()
    assert moved == (to in ALLOWED[source])
    assert session.state == (to if moved else source)
    assert told(session) == ([to.value] if moved else [])


def test_the_table_is_the_one_of_the_design() -> None:
    ways = {(a.value, b.value) for a, targets in ALLOWED.items() for b in targets}
    assert ways == {
        ("requested", "waiting"),
        ("requested", "active"),
        ("requested", "failed"),
        ("waiting", "active"),
        ("waiting", "failed"),
        ("active", "finishing"),
        ("active", "failed"),
        ("finishing", "ready"),
        ("finishing", "failed"),
        ("ready", "deleted"),
        ("failed", "finishing"),
        ("failed", "deleted"),
    }


@pytest.mark.django_db
def test_what_failed_before_it_began_cannot_be_finished() -> None:
    session = a_session(State.FAILED, started_at=None)
    assert not lifecycle.advance(session.pk, State.FINISHING)


@pytest.mark.django_db
def test_nobody_moves_a_session_that_is_not_there() -> None:
    assert not lifecycle.advance(4711, State.ACTIVE)


@pytest.mark.django_db
def test_time_zero_and_the_end_are_kept() -> None:
    session = a_session(State.REQUESTED)
    assert lifecycle.advance(session.pk, State.ACTIVE, now=NOON)
    later = NOON + timedelta(minutes=3)
    lifecycle.advance(session.pk, State.FAILED, failure="disk full", now=later)
    lifecycle.advance(session.pk, State.FINISHING, now=later + timedelta(hours=1))
    session.refresh_from_db()
    assert session.started_at == NOON
    assert session.ended_at == later
    assert session.failure == ""


@pytest.mark.django_db(transaction=True)
def test_of_twenty_who_try_at_once_one_wins() -> None:
    session = a_session()
    results = at_once(
        lambda _: lifecycle.advance(session.pk, State.FINISHING), threads=20
    )
    assert sorted(map(str, results)) == ["False"] * 19 + ["True"]
    assert told(session) == ["finishing"]


@pytest.mark.django_db(transaction=True)
def test_of_twenty_who_ask_to_stop_one_is_the_first() -> None:
    session = a_session()
    results = at_once(lambda _: lifecycle.request_stop(session.pk), threads=20)
    assert sorted(map(str, results)) == ["False"] * 19 + ["True"]
    assert told(session) == ["stopping"]


@pytest.mark.django_db(transaction=True)
def test_without_its_event_nothing_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> int:
        raise OSError("no event today")

    session = a_session()
    monkeypatch.setattr(events, "append", broken)
    with pytest.raises(OSError):
        lifecycle.advance(session.pk, State.FINISHING)
    with pytest.raises(OSError):
        lifecycle.request_stop(session.pk)
    session.refresh_from_db()
    assert (session.state, session.stop_requested_at) == (State.ACTIVE, None)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "wrong",
    [
        {"state": "nonsense"},
        {"state": "active", "started_at": None},
        {"state": "finishing", "started_at": None},
        {"state": "finishing", "ended_at": None},
        {"state": "ready", "ended_at": None},
    ],
)
def test_the_database_refuses_what_cannot_be(wrong: dict[str, object]) -> None:
    session = a_session()
    rows = VoiceSession.objects.filter(pk=session.pk)
    with pytest.raises(IntegrityError), transaction.atomic():
        rows.update(**wrong)


@pytest.mark.django_db
def test_an_idle_stop_spares_a_session_renewed_meanwhile() -> None:
    session = a_session(heartbeat_at=NOON)
    assert not lifecycle.request_stop(session.pk, idle_since=NOON)
    assert lifecycle.request_stop(session.pk, idle_since=NOON + timedelta(seconds=1))


@pytest.mark.django_db
def test_a_heart_beats_only_in_what_is_active() -> None:
    alive, over = a_session(), a_session(State.READY)
    assert lifecycle.touch([alive.pk, over.pk], now=NOON) == 1
    alive.refresh_from_db()
    assert alive.heartbeat_at == NOON
