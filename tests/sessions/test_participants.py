"""People: their names, their comings and goings, and where their stream goes on."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from scene import an_open_session, at_once

from sessions import events, participants
from sessions.errors import SessionEndedError
from sessions.models import Participant, State, VoiceSession
from sessions.participants import Sight, Stream

pytestmark = pytest.mark.django_db


@pytest.fixture
def session() -> VoiceSession:
    return an_open_session().session


def join(session: VoiceSession, key: str = "a", connection: str = "1") -> Participant:
    return participants.join(session.pk, key=key, name="Alice", connection=connection)


def presence(session: VoiceSession) -> list[bool]:
    log = events.replay(session.pk, after=0)
    return [event.data["present"] for event in log if event.type == "participant"]


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("  Ada\n Lovelace\t", "Ada Lovelace"),
        ("evil\u202eeman", "evileman"),
        ("a\x00b", "a b"),
        ("\u200b\u200d", ""),
        ("x" * 10_000, "x" * 80),
        ("Zoe\u0308", "Zoë"),
        ("\ud800", ""),
    ],
)
def test_names_are_made_fit_for_a_screen(raw: str, clean: str) -> None:
    assert participants.clean_name(raw) == clean


def test_who_gives_no_name_is_a_guest(session: VoiceSession) -> None:
    made = participants.join(session.pk, key="a", name=" \u200b", connection="1")
    assert made.name == "Guest 1"


def test_coming_and_going_is_told_once(session: VoiceSession) -> None:
    person = join(session)
    assert join(session, connection="2").pk == person.pk
    participants.leave(session.pk, person.pk, connection="1")  # the older one
    assert presence(session) == [True]
    participants.leave(session.pk, person.pk, connection="2")
    participants.leave(session.pk, person.pk, connection="2")
    assert presence(session) == [True, False]


@pytest.mark.parametrize("state", [State.ACTIVE, State.FINISHING, State.READY])
def test_whoever_was_heard_joins_however_far_the_end_has_come(
    session: VoiceSession, state: State
) -> None:
    VoiceSession.objects.filter(pk=session.pk).update(
        state=state,
        stop_requested_at=timezone.now(),
        ended_at=None if state == State.ACTIVE else timezone.now(),
    )
    with pytest.raises(SessionEndedError):
        join(session)
    made = participants.join(
        session.pk, key="a", name="Alice", connection="1", was_heard=True
    )
    assert made.name == "Alice"


@pytest.mark.parametrize("state", [State.DELETED, State.FAILED])
def test_nobody_joins_what_is_not_kept(session: VoiceSession, state: State) -> None:
    VoiceSession.objects.filter(pk=session.pk).update(state=state)
    with pytest.raises(SessionEndedError):
        participants.join(
            session.pk, key="a", name="Alice", connection="1", was_heard=True
        )


def test_whoever_is_not_seen_any_more_has_left(session: VoiceSession) -> None:
    person = join(session)
    now = timezone.now()
    assert participants.leave_stale(since=now - timedelta(seconds=1)) == 0
    assert participants.leave_stale(since=now + timedelta(seconds=1)) == 1
    assert presence(session) == [True, False]
    (lost,) = participants.renew([Sight(person.pk, "1")])
    participants.put_back(lost)  # they were there all the while
    assert participants.renew([lost]) == []
    assert presence(session) == [True, False, True]


def test_a_stream_only_grows(session: VoiceSession) -> None:
    person = join(session)
    for samples in (100, 300, 200):
        participants.note_streams([Stream(person.pk, 7, samples)])
    person.refresh_from_db()
    assert (person.stream_origin, person.stream_samples) == (7, 300)


@pytest.mark.django_db(transaction=True)
def test_the_same_person_coming_twice_at_once_is_one() -> None:
    session = an_open_session().session

    def come(number: int) -> int:
        return join(session, connection=str(number)).pk

    assert len(set(at_once(come, threads=6))) == 1
    assert presence(session) == [True]
