"""The timeline's zero: settled once on a host, whatever the time of day is set to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import transaction
from scene import an_open_session

from sessions import participants, timezero
from sessions.models import TimeZero, VoiceSession

pytestmark = pytest.mark.django_db(transaction=True)

STEP_S = 2.5


class Host:
    """Its two clocks: the one on the wall may be set."""

    def __init__(self, session: VoiceSession) -> None:
        assert session.started_at is not None
        self.up_s, self._apart_s = 500.0, session.started_at.timestamp() - 490.0

    def uptime(self) -> float:
        return self.up_s

    def wall(self) -> float:
        return self.up_s + self._apart_s

    def is_set(self, by_s: float) -> None:
        self._apart_s += by_s

    def settles(self, session: VoiceSession) -> None:
        timezero.settle(session, wall=self.wall, uptime=self.uptime)

    def into_s(self, session: VoiceSession) -> float:
        return timezero.into_s(session, wall=self.wall, uptime=self.uptime)


@pytest.fixture
def session() -> VoiceSession:
    return an_open_session().session


@pytest.fixture
def host(session: VoiceSession) -> Host:
    """Ten seconds into the session."""
    return Host(session)


@pytest.fixture(autouse=True)
def _another_process() -> Iterator[None]:
    yield
    timezero._zeros.clear()


@pytest.mark.parametrize("step_s", [STEP_S, -STEP_S, -40 * 365 * 86_400.0])
def test_whoever_comes_after_the_clock_was_set_stands_beside_the_others(
    session: VoiceSession, host: Host, step_s: float
) -> None:
    host.settles(session)
    host.is_set(step_s)
    host.up_s += 5.0
    host.settles(session)
    assert host.into_s(session) == pytest.approx(15.0)


def test_a_process_that_begins_anew_goes_by_the_note(
    session: VoiceSession, host: Host
) -> None:
    host.settles(session)
    timezero._zeros.clear()
    host.is_set(-STEP_S)
    host.up_s += 5.0
    host.settles(session)
    assert host.into_s(session) == pytest.approx(15.0)
    assert TimeZero.objects.count() == 1


def test_a_note_that_was_not_kept_is_written_by_the_next(
    session: VoiceSession, host: Host
) -> None:
    with transaction.atomic():
        host.settles(session)
        transaction.set_rollback(True)
    host.settles(session)
    assert TimeZero.objects.count() == 1


def test_another_boot_goes_by_the_clock_on_the_wall(
    session: VoiceSession, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.settles(session)
    timezero._zeros.clear()
    monkeypatch.setattr(timezero, "boot", lambda: "another")
    other = Host(session)
    other.up_s, other._apart_s = 3.0, host.wall() + 60.0 - 3.0
    other.settles(session)
    assert other.into_s(session) == pytest.approx(70.0)
    assert TimeZero.objects.count() == 2


def test_where_nobody_has_joined_the_wall_tells(
    session: VoiceSession, host: Host
) -> None:
    assert host.into_s(session) == pytest.approx(10.0)
    assert not TimeZero.objects.exists()


def test_a_captures_clock_is_read_at_once(session: VoiceSession) -> None:
    timezero.settle(session)
    into_s = timezero.into_s(session)
    assert timezero.of(session, clock=lambda: 77.0) == pytest.approx(
        77.0 - into_s, abs=0.5
    )


def test_who_joins_settles_it_and_it_goes_with_its_session(
    session: VoiceSession,
) -> None:
    for key in "ab":
        participants.join(session.pk, key=key, name=key, connection=key)
    assert [note.boot for note in TimeZero.objects.all()] == [timezero.boot()]
    assert timezero.into_s(session, wall=lambda: 0.0) >= 0
    session.delete()
    assert not TimeZero.objects.exists()


def test_a_host_knows_its_boot_and_how_long_ago_it_was() -> None:
    assert timezero.boot() == timezero.boot() != ""
    before_s = timezero.uptime_s()
    assert 0 < before_s <= timezero.uptime_s()


def test_who_is_forgotten_is_looked_up(
    session: VoiceSession, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timezero, "REMEMBERED", 1)
    host.settles(session)
    host.settles(an_open_session().session)
    assert list(timezero._zeros) != [session.public_id]
    host.is_set(STEP_S)
    host.settles(session)
    assert host.into_s(session) == pytest.approx(10.0)
