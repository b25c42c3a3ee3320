"""The end: one order, one winner, whoever asks and whatever breaks."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from channels.db import database_sync_to_async
from pytest_django.fixtures import Settings
from scene import Listener, a_session, an_open_session

from sessions import events, finish, participants, reaper, timezero
from sessions.capture.capture import Capture
from sessions.capture.registry import Held, Host, Stop, registry
from sessions.capture.sinks import Track
from sessions.models import Participant, State, VoiceSession

pytestmark = pytest.mark.django_db(transaction=True)

in_db = database_sync_to_async


@pytest.fixture(autouse=True)
def rung(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rings are written down, not sent."""
    rings: list[int] = []
    monkeypatch.setattr(finish, "ring", rings.append)
    monkeypatch.setattr(finish, "OTHERS_DEADLINE_S", 0.3)
    return rings


async def a_capture(
    session: VoiceSession, listener: Listener, key: str
) -> Held[Capture]:
    """Somebody is connected in this process."""
    person = await in_db(participants.join)(
        session.pk, key=key, name=key, connection=key
    )
    track = Track(session.pk, session.public_id, person.pk, person.public_id, key)
    capture = Capture(track, zero_s=timezero.of(session), rate=16_000, sinks=[listener])

    async def stop(why: Stop) -> None:
        await capture.close()
        registry().remove(held)
        await in_db(participants.leave)(session.pk, person.pk, connection=key)

    held = Held(capture, stop, key)
    registry().add(held)
    return held


async def told(session: VoiceSession) -> list[str]:
    log = await in_db(events.replay)(session.pk, after=0)
    return [
        event.data.get("state") or f"{event.data['name']} {event.data['present']}"
        for event in log
    ]


async def test_the_order_of_the_end(rung: list[int]) -> None:
    session = (await in_db(an_open_session)()).session
    listener = Listener()
    held = await a_capture(session, listener, "Alice")
    held.capture.offer(b"\x01\x00" * 320)
    assert await finish.end(session.pk, reason="requested")
    assert listener.closed == 1
    assert len(listener.pcm) == 320
    order = ["active", "Alice True", "stopping", "Alice False", "finishing"]
    assert await told(session) == order
    await session.arefresh_from_db()
    assert (session.state, session.end_reason) == (State.FINISHING, "requested")
    assert session.ended_at is not None
    assert rung == [session.pk]


async def test_of_many_who_end_it_one_does(rung: list[int]) -> None:
    session = (await in_db(an_open_session)()).session
    ends = [finish.end(session.pk, reason=f"caller {n}") for n in range(10)]
    assert sorted(await asyncio.gather(*ends)) == [False] * 9 + [True]
    assert (await told(session)).count("finishing") == 1
    assert rung == [session.pk]


async def test_a_broken_listener_is_told_and_the_session_ends_all_the_same() -> None:
    session = (await in_db(an_open_session)()).session
    good, bad = Listener(), Listener()
    bad.fails_to_close = True
    await a_capture(session, bad, "Alice")
    await a_capture(session, good, "Ben")
    assert await finish.end(session.pk, reason="requested")
    assert good.closed == 1
    await session.arefresh_from_db()
    assert session.state == State.FINISHING


async def test_a_hanging_capture_does_not_hold_up_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(finish, "STEP_DEADLINE_S", 0.2)
    session = (await in_db(an_open_session)()).session
    listener = Listener()
    listener.may_close.clear()
    held = await a_capture(session, listener, "Alice")
    let_go = asyncio.Event()

    async def stop(why: Stop) -> None:
        await held.stop(why)
        let_go.set()

    with registry().hosting(Host(session.pk, stop)):
        assert await finish.end(session.pk, reason="requested")
    await session.arefresh_from_db()
    assert session.state == State.FINISHING
    assert not listener.closed
    listener.may_close.set()  # whoever waited lost patience; it went on
    await asyncio.wait_for(let_go.wait(), 5)
    assert listener.closed == 1


async def test_people_of_a_dead_process_are_taken_off_the_list() -> None:
    session = (await in_db(an_open_session)()).session
    join = in_db(participants.join)
    await join(session.pk, key="a", name="Alice", connection="of a dead process")
    assert await finish.end(session.pk, reason="requested")
    assert not await Participant.objects.exclude(held_by="").aexists()


async def test_nobody_joins_what_is_ending() -> None:
    session = (await in_db(an_open_session)()).session
    await finish.end(session.pk, reason="requested")
    with pytest.raises(Exception, match="ended"):
        await in_db(participants.join)(session.pk, key="a", name="A", connection="c")


def test_the_durable_steps_go_on_where_they_were(settings: Settings) -> None:
    session = a_session(State.FINISHING)
    assert finish.complete(session.pk)
    assert not finish.complete(session.pk)
    session.refresh_from_db()
    assert session.state == State.READY


async def test_the_reaper_ends_what_nobody_renews(settings: Settings) -> None:
    settings.SESSION_IDLE_TTL_S = 90
    now = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
    ages = {"fresh": 60, "old": 120}
    made = {
        name: await in_db(a_session)(heartbeat_at=now - timedelta(seconds=age))
        for name, age in ages.items()
    }
    for source in ("phone", "discord"):
        other = await in_db(a_session)(heartbeat_at=now - timedelta(hours=1))
        await VoiceSession.objects.filter(pk=other.pk).aupdate(source=source)
        made[source] = other
    done = await reaper.cycle(now=now)
    assert set(done.idle) == {made["old"].pk, made["phone"].pk}
    await made["old"].arefresh_from_db()
    assert made["old"].end_reason == "idle"
    assert (await reaper.cycle(now=now)).idle == []


async def test_a_heart_that_beats_between_look_and_end_saves_the_session() -> None:
    now = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
    session = await in_db(a_session)(heartbeat_at=now)
    since = now - timedelta(seconds=1)
    assert not await finish.end(session.pk, reason="idle", idle_since=since)
    await session.arefresh_from_db()
    assert session.is_open


async def test_the_reaper_completes_an_end_that_died_half_way() -> None:
    now = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
    session = await in_db(a_session)(
        heartbeat_at=now, stop_requested_at=now - timedelta(seconds=31)
    )
    assert (await reaper.cycle(now=now)).half_ended == [session.pk]
    await session.arefresh_from_db()
    assert (session.state, session.end_reason) == (State.FINISHING, "recovered")
