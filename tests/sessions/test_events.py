"""The event log: gap-free numbers, in the order in which they can be seen."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, connections, transaction
from scene import a_session, at_once

from sessions import bell, events
from sessions.models import SessionEvent, VoiceSession

THREADS, EACH = 8, 8


@pytest.mark.django_db(transaction=True)
def test_eight_at_once_leave_no_gap_and_nobody_sees_a_later_one_first() -> None:
    session = a_session()
    over = threading.Event()
    faults: list[str] = []

    def watch() -> None:
        seen = 0
        while seen < THREADS * EACH and not over.is_set():
            for event in events.replay(session.pk, after=seen, limit=1000):
                if event.seq != seen + 1:
                    faults.append(f"saw {event.seq} after {seen}")
                seen = event.seq
        connections.close_all()

    def write(number: int) -> list[int]:
        return [
            events.append(session.pk, "notice", {"by": number}) for _ in range(EACH)
        ]

    reader = threading.Thread(target=watch, daemon=True)
    connection.close()
    reader.start()
    numbers = at_once(write, threads=THREADS)
    reader.join(20)
    over.set()
    assert not faults
    flat = sorted(n for each in numbers for n in each)
    assert flat == list(range(1, THREADS * EACH + 1))
    session.refresh_from_db()
    assert session.last_seq == THREADS * EACH


@pytest.mark.django_db(transaction=True)
def test_it_joins_the_callers_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[int] = []
    monkeypatch.setattr(bell, "ring", rung.append)
    session = a_session()
    with transaction.atomic():
        events.append(session.pk, "notice", {})
        transaction.set_rollback(True)
    assert events.replay(session.pk, after=0) == []
    assert rung == []
    assert events.append(session.pk, "notice", {}) == 1
    assert rung == [session.pk]


@pytest.mark.django_db
def test_numbers_are_each_sessions_own() -> None:
    one, other = a_session(), a_session()
    assert [events.append(s.pk, "notice", {}) for s in (one, one, other)] == [1, 2, 1]


@pytest.mark.django_db
def test_there_is_no_event_without_its_session() -> None:
    with pytest.raises(VoiceSession.DoesNotExist):
        events.append(4711, "notice", {})
    assert not SessionEvent.objects.exists()


@pytest.mark.django_db
def test_replay_begins_behind_a_number_and_stops_at_the_limit() -> None:
    session = a_session()
    for n in range(5):
        events.append(session.pk, "notice", {"n": n})
    found = events.replay(session.pk, after=1, limit=3)
    assert [(e.seq, e.data["n"]) for e in found] == [(2, 1), (3, 2), (4, 3)]
    assert events.replay(session.pk, after=10**14) == []


def test_a_passing_event_shows_no_number() -> None:
    assert events.Event(0, "partial", {"rev": 1}).to_json() == {
        "type": "partial",
        "rev": 1,
    }
    assert events.Event(7, "tone", {}).to_json() == {"seq": 7, "type": "tone"}
