"""Nothing of whoever opted out is taken, and the session says so, once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from scene import NOON, a_session

from sessions import events, optout, participants
from sessions.consent import OptedOutError
from sessions.models import Participant, VoiceSession

pytestmark = pytest.mark.django_db


@pytest.fixture
def session() -> VoiceSession:
    return a_session()


def joins(session: VoiceSession, name: str = "Ann") -> Participant:
    return participants.join(session.pk, key=name, name=name, connection="one")


def told(session: VoiceSession) -> list[tuple[str, int]]:
    log = events.replay(session.pk, after=0)
    return [(e.data["name"], e.data["at_ms"]) for e in log if e.type == "unrecorded"]


def test_it_is_told_once_at_its_place(session: VoiceSession) -> None:
    ann = joins(session)
    at = NOON + timedelta(seconds=5)
    assert optout.opt_out(session.pk, ann.pk, now=at)
    assert not optout.opt_out(session.pk, ann.pk)
    assert told(session) == [("Ann", 5000)]
    (one,) = optout.absent(session.pk)
    assert (one.participant, one.at_ms) == (ann.public_id, 5000)


def test_they_do_not_come_back_by_themselves(session: VoiceSession) -> None:
    ann = joins(session)
    optout.opt_out(session.pk, ann.pk)
    with pytest.raises(OptedOutError):
        joins(session)
    assert optout.opted_out([ann.pk, 99]) == {ann.pk}


def test_whoever_opted_out_before_stands_there_when_they_come(
    session: VoiceSession,
) -> None:
    at = NOON + timedelta(seconds=9)
    assert optout.is_here(session.pk, key="discord:5", name="Bob", now=at)
    assert not optout.is_here(session.pk, key="discord:5", name="Bob")
    assert told(session) == [("Bob", 9000)]
    person = Participant.objects.get()
    assert not person.is_present


def test_whoever_lets_themselves_be_recorded_again_is(session: VoiceSession) -> None:
    optout.is_here(session.pk, key="Ann", name="Ann")
    assert optout.opt_in(session.pk, key="Ann")
    assert not optout.opt_in(session.pk, key="Ann")
    joins(session)
    assert optout.absent(session.pk) == []


def test_who_is_there_is_settled_at_once(
    session: VoiceSession, django_assert_num_queries: Any
) -> None:
    joins(session)
    who = {"taken": ["Ann", "Cleo"], "absent": {"discord:5": "Bob"}}
    optout.settle(session.pk, **who)  # type: ignore[arg-type]
    assert [name for name, _ in told(session)] == ["Bob"]
    with django_assert_num_queries(1):  # nothing has changed
        optout.settle(session.pk, **who)  # type: ignore[arg-type]
    optout.settle(session.pk, taken=["discord:5"], absent={})
    assert optout.absent(session.pk) == []
    assert not Participant.objects.filter(key="Cleo").exists()


def test_consent_is_kept_from_its_first_time(session: VoiceSession) -> None:
    def agrees(to: str) -> Participant:
        ask = {"key": "a", "name": "Ann", "connection": "c", "consent_to": to}
        return participants.join(session.pk, **ask)  # type: ignore[arg-type]

    first = agrees("2026.1-a").consented_at
    assert agrees("2026.1-a").consented_at == first
    again = agrees("2026.1-b")
    assert again.consent_to == "2026.1-b"
    assert again.consented_at != first
