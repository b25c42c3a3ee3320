"""The reaper's round: whom it takes, whom it spares, and how often it rings."""

from __future__ import annotations

from datetime import timedelta

import pytest
from channels.db import database_sync_to_async
from pytest_django.fixtures import Settings
from scene import NOON, a_session, an_open_session

from sessions import finish, hosts, participants, reaper
from sessions.models import Participant, State, VoiceSession

pytestmark = pytest.mark.django_db(transaction=True)

in_db = database_sync_to_async
SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def rung(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> list[int]:
    settings.SESSION_IDLE_TTL_S = 90
    rings: list[int] = []

    def put(task: str, session_id: int, *, queue: str) -> bool:
        assert (task, queue) == (finish.TASK, hosts.MEDIA)
        rings.append(session_id)
        return True

    monkeypatch.setattr(hosts, "put", put)
    monkeypatch.setattr(hosts, "waiting", lambda queue: 0)
    monkeypatch.setattr(finish, "OTHERS_DEADLINE_S", 0.05)
    return rings


async def test_exactly_at_the_limit_a_session_still_lives() -> None:
    session = await in_db(a_session)(heartbeat_at=NOON)
    at_limit = await reaper.cycle(now=NOON + 90 * SECOND)
    assert at_limit.idle == []
    assert (await reaper.cycle(now=NOON + 91 * SECOND)).idle == [session.pk]


async def test_one_without_any_heartbeat_is_taken() -> None:
    session = await in_db(a_session)(heartbeat_at=None)
    assert (await reaper.cycle(now=NOON)).idle == [session.pk]


async def test_while_nobody_could_renew_nobody_is_taken() -> None:
    session = await in_db(a_session)(heartbeat_at=NOON)
    now = NOON + timedelta(hours=1)
    back = await reaper.cycle(now=now, watched_since=now - 89 * SECOND)
    assert back.idle == []
    later = await reaper.cycle(now=now + SECOND, watched_since=now - 89 * SECOND)
    assert later.idle == [session.pk]


async def test_whoever_a_dead_process_held_has_left() -> None:
    opened = await in_db(an_open_session)()
    pk = opened.session.pk
    for name in ("dead", "alive"):
        await in_db(participants.join)(pk, key=name, name=name, connection=name)
    now = opened.session.started_at
    assert now is not None
    await Participant.objects.filter(name="dead").aupdate(seen_at=now - 31 * SECOND)
    await Participant.objects.filter(name="alive").aupdate(seen_at=now - 29 * SECOND)
    assert (await reaper.cycle(now=now)).gone == 1
    present = Participant.objects.exclude(held_by="")
    assert [p.name async for p in present] == ["alive"]
    assert (await reaper.cycle(now=now)).gone == 0


async def test_a_session_that_will_not_end_does_not_keep_others_alive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stubborn, old = [await in_db(a_session)(heartbeat_at=NOON) for _ in range(2)]
    end = finish.end

    async def failing(session_id: int, **how: object) -> bool:
        if session_id == stubborn.pk:
            raise RuntimeError("it will not")
        return await end(session_id, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(finish, "end", failing)
    done = await reaper.cycle(now=NOON + timedelta(hours=1))
    assert done.idle == [old.pk]


async def test_it_rings_for_ends_that_are_not_complete(rung: list[int]) -> None:
    waiting = await in_db(a_session)(State.FINISHING)
    await in_db(a_session)(State.READY)
    assert (await reaper.cycle(now=NOON)).rung == [waiting.pk]
    assert rung == [waiting.pk]


async def test_it_rings_no_more_while_nobody_has_heard(
    rung: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "waiting", lambda queue: 1)
    await in_db(a_session)(State.FINISHING)
    assert (await reaper.cycle(now=NOON)).rung == []
    assert rung == []


async def test_a_stop_asked_for_just_now_is_left_to_who_asked() -> None:
    session = await in_db(a_session)(heartbeat_at=NOON, stop_requested_at=NOON)
    assert (await reaper.cycle(now=NOON + 30 * SECOND)).half_ended == []
    assert (await reaper.cycle(now=NOON + 31 * SECOND)).half_ended == [session.pk]
    found = await VoiceSession.objects.aget(pk=session.pk)
    assert found.state == State.FINISHING
