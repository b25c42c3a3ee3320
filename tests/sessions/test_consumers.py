"""The two WebSockets, in this process: every sample once, and nothing left behind."""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from datetime import timedelta
from typing import Any

import pytest
from clients import (
    PAGE,
    STEP,
    STREAM,
    Client,
    Ears,
    assert_continuous,
    audio,
    in_db,
    live,
    nothing_held,
    present,
)
from django.utils import timezone
from pytest_django.fixtures import Settings
from scene import a_user, an_open_session, eventually

from sessions import (
    consumers,
    events,
    finish,
    lifecycle,
    participants,
)
from sessions.capture.registry import registry
from sessions.feed import feed
from sessions.models import Participant
from sessions.opening import Opened

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finish, "ring", lambda _: None)
    monkeypatch.setattr(finish, "OTHERS_DEADLINE_S", 0.2)


@pytest.fixture
def ears(monkeypatch: pytest.MonkeyPatch) -> Ears:
    made = Ears()
    monkeypatch.setattr(consumers, "open_sinks", made)
    return made


@pytest.fixture
async def opened() -> Opened:
    return await in_db(an_open_session)()


async def test_frames_are_acknowledged_and_heard_to_the_last(
    ears: Ears, opened: Opened
) -> None:
    async with Client(audio(opened)) as client:
        await client.speaks(0, 10_000)
        await client.says(b"")
        assert await client.hears() == {"ok": True, "bytes": 0}
        await client.send_json_to({"type": "ping"})
        assert await client.hears() == {"type": "pong"}
        await client.send_json_to({"type": "stop"})
        assert (await client.closing())[0] == 1000
    (listener,) = ears.listeners
    assert listener.closed == 1
    assert_continuous(listener, end=10_000)
    assert await present(opened) == []
    assert nothing_held()


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([b"\0"], 4009),
        ([bytes(64 * 1024 + 2)], 4009),
        (["nonsense"], 4009),
        (['{"type":"skip","samples":' + str(16_000 * 200) + "}"], 4008),
        (['{"type":"skip","samples":1600000}'] * 2, 4008),
        ([bytes(64_000)] * 61, 4008),
    ],
)
async def test_what_is_not_the_protocol_ends_it_and_leaves_nothing(
    ears: Ears, opened: Opened, messages: list[str | bytes], code: int
) -> None:
    async with Client(audio(opened)) as client:
        await client.speaks(0, 1280)
        for message in messages:
            await client.says(message)
        found, reason = await client.closing()
        assert (found, bool(reason)) == (code, True)
    assert ears.listeners[0].closed == 1
    assert ears.listeners[0].pcm.astype("<i2").tobytes()[:1280] == STREAM[:1280]
    assert await present(opened) == []
    assert nothing_held()


async def test_a_stream_goes_on_at_the_byte_it_says(ears: Ears, opened: Opened) -> None:
    stream, at = uuid.uuid4(), 0
    for end in (64_000, 64_640, 100_000):
        async with Client(audio(opened, stream=stream, name="Ann")) as client:
            assert await client.hears() == {"type": "ready", "bytes": at}
            await client.speaks(at, end)
            at = end
    assert_continuous(*ears.listeners, end=100_000)
    assert len({track.participant_id for track, _ in ears.opened}) == 1


async def test_a_newer_connection_takes_a_stream_over_from_an_open_one(
    ears: Ears, opened: Opened
) -> None:
    stream = uuid.uuid4()
    async with Client(audio(opened, stream=stream, name="Ann")) as older:
        await older.hears()
        await older.speaks(0, 64_000)
        async with Client(audio(opened, stream=stream)) as newer:
            assert await newer.hears() == {"type": "ready", "bytes": 64_000}
            assert (await older.closing())[0] == 4011
            await newer.speaks(64_000, 80_000)
            assert await present(opened) == ["Ann"]
    assert_continuous(*ears.listeners, end=80_000)
    told = await in_db(events.replay)(opened.session.pk, after=0)
    seen = [e.data["present"] for e in told if e.type == "participant"]
    assert seen == [True, False]
    assert await present(opened) == []


async def test_a_stream_returns_while_its_old_connection_still_writes(
    ears: Ears, opened: Opened
) -> None:
    stream = uuid.uuid4()
    ears.next.may_close.clear()
    slow = ears.next
    async with Client(audio(opened, stream=stream)) as older:
        await older.hears()
        await older.speaks(0, 64_000)
        await older.send_input({"type": "websocket.disconnect", "code": 1006})
        await eventually(lambda: registry()._held)
        async with Client(audio(opened, stream=stream)) as newer:
            assert await newer.hears() == {"type": "ready", "bytes": 64_000}
            await newer.speaks(64_000, 70_000)
            slow.may_close.set()
    assert_continuous(*ears.listeners, end=70_000)
    person = await Participant.objects.aget(session=opened.session)
    assert person.stream_samples == 35_000 * 3
    await eventually(nothing_held)


async def test_what_a_page_no_longer_has_is_a_gap_of_that_length(
    ears: Ears, opened: Opened
) -> None:
    stream = uuid.uuid4()
    async with Client(audio(opened, stream=stream)) as client:
        await client.hears()
        await client.speaks(0, 64_000)
    async with Client(audio(opened, stream=stream)) as client:
        await client.hears()
        await client.send_json_to({"type": "skip", "samples": 16_000})
        await client.speaks(96_000, 100_000)
    first, second = ears.listeners
    gap = second.heard[0].position - first.heard[-1].end
    assert gap == 48_000


async def test_everybody_has_a_track_and_a_name_of_their_own(
    ears: Ears, opened: Opened
) -> None:
    names = ("Ann", "B%00%E2%80%AEob", "%0A", "x" * 1000)
    clients = [Client(audio(opened, name=name)) for name in names]
    for client in clients:
        await client.__aenter__()
    await asyncio.gather(*(c.speaks(0, 6400) for c in clients))
    assert await present(opened) == sorted(["Ann", "B ob", "Guest 3", "x" * 80])
    for client in clients:
        await client.__aexit__()
    for listener in ears.listeners:
        assert_continuous(listener, end=6400)
    assert await present(opened) == []


async def test_the_end_of_the_session_closes_with_4010_after_the_last_sample(
    ears: Ears, opened: Opened
) -> None:
    async with Client(audio(opened)) as client:
        await client.speaks(0, 32_000)
        assert await finish.end(opened.session.pk, reason="requested")
        assert (await client.closing())[0] == 4010
    assert_continuous(*ears.listeners, end=32_000)
    async with Client(audio(opened)) as late:
        assert (await late.closing())[0] == 4010
    assert nothing_held()


async def test_another_process_ends_it_and_we_notice(
    ears: Ears, opened: Opened
) -> None:
    async with Client(audio(opened)) as client:
        await client.speaks(0, 3200)
        await in_db(lifecycle.request_stop)(opened.session.pk)
        assert (await client.closing())[0] == 4010
    assert ears.listeners[0].closed == 1


async def test_a_restart_asks_everybody_to_come_back_where_they_were(
    ears: Ears, opened: Opened
) -> None:
    stream = uuid.uuid4()
    async with Client(audio(opened, stream=stream)) as client:
        await client.hears()
        await client.speaks(0, 32_000)
        await registry().shut_down()
        code, reason = await client.closing()
        assert (code, "again" in reason) == (1012, True)
    async with Client(audio(opened, stream=stream)) as client:
        assert await client.hears() == {"type": "ready", "bytes": 32_000}


async def test_nobody_is_let_in_by_a_process_that_is_about_to_end(
    ears: Ears, opened: Opened
) -> None:
    registry().close()
    async with Client(audio(opened, stream=uuid.uuid4())) as late:
        code, reason = await late.closing()
        assert (code, "again" in reason) == (1012, True)
    assert not ears.opened
    assert not await in_db(Participant.objects.exists)()
    assert nothing_held()


def slow_to_join(
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[threading.Event, threading.Event]:
    """From here on: set when somebody is about to join, and to be set for them to."""
    joining, may_join, join = threading.Event(), threading.Event(), participants.join

    def slow_join(*args: Any, **how: Any) -> Participant:
        joining.set()
        assert may_join.wait(10)
        return join(*args, **how)

    monkeypatch.setattr(participants, "join", slow_join)
    return joining, may_join


async def test_whoever_is_just_being_let_in_is_asked_to_come_back_too(
    ears: Ears, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    joining, may_join = slow_to_join(monkeypatch)
    async with Client(audio(opened)) as client:
        await asyncio.to_thread(joining.wait, 5)
        registry().close()
        stopping = asyncio.create_task(registry().shut_down())
        may_join.set()
        assert (await client.closing())[0] == 1012
        await stopping
        assert await present(opened) == []
        assert nothing_held()
    assert [listener.closed for listener in ears.listeners] == [1]


async def test_whoever_the_reaper_took_for_gone_is_back_at_the_next_beat(
    ears: Ears, opened: Opened
) -> None:
    async with Client(audio(opened, name="Ann")) as client:
        await client.speaks(0, 640)
        future = timezone.now() + timedelta(seconds=1)
        assert await in_db(participants.leave_stale)(since=future) == 1
        assert await present(opened) == []
        await registry()._beat()
        assert await present(opened) == ["Ann"]
    await registry()._beat()
    assert await present(opened) == []


async def test_a_stream_has_its_place_in_the_table_a_second_after_it_began(
    ears: Ears, opened: Opened
) -> None:
    """Killed then, we would otherwise place it where it comes back."""
    async with Client(audio(opened, stream=uuid.uuid4())) as client:
        await client.hears()
        origin = None
        until = asyncio.get_running_loop().time() + 2.0
        while asyncio.get_running_loop().time() < until and origin is None:
            await client.speaks(0, STEP)
            await asyncio.sleep(0.02)
            person = await Participant.objects.aget(session=opened.session)
            origin = person.stream_origin
        (held,) = registry()._held
        assert origin is not None
        assert abs(origin - (held.capture.origin or 0)) < 480
    assert not registry()._noted


async def test_no_ears_close_with_1011_and_nobody_stays(
    ears: Ears, opened: Opened
) -> None:
    ears.breaks = True
    async with Client(audio(opened)) as client:
        assert (await client.closing())[0] == 1011
    assert await present(opened) == []
    assert nothing_held()


async def test_a_fault_of_ours_in_mid_talk_writes_down_what_was_heard(
    ears: Ears, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: bytes) -> None:
        raise RuntimeError("a bug")

    async with Client(audio(opened)) as client:
        await client.speaks(0, 32_000)
        monkeypatch.setattr(consumers.wire, "check_frame", broken)
        await client.send_to(bytes_data=b"\0\0")
        assert (await client.closing())[0] == 1011
    assert_continuous(*ears.listeners, end=32_000)
    assert ears.listeners[0].closed == 1
    assert nothing_held()


async def test_whoever_is_cut_off_while_joining_does_not_stay(
    ears: Ears, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    joining, may_join = slow_to_join(monkeypatch)
    client = Client(audio(opened))
    await client.send_input({"type": "websocket.connect"})
    await eventually(joining.is_set)
    client.future.cancel()  # as Daphne does with those who hang up and are slow
    may_join.set()
    await asyncio.wait([client.future], timeout=10)
    assert client.future.cancelled()
    assert await present(opened) == []
    assert nothing_held()
    assert [listener.closed for listener in ears.listeners] == [1]


async def test_a_cancelled_connection_writes_down_what_it_heard(
    ears: Ears, opened: Opened
) -> None:
    client = await Client(audio(opened)).__aenter__()
    await client.speaks(0, 32_000)
    client.future.cancel()
    await asyncio.wait([client.future], timeout=10)
    assert_continuous(*ears.listeners, end=32_000)
    assert await present(opened) == []
    assert nothing_held()


@pytest.mark.parametrize(
    ("headers", "opens"),
    [
        (PAGE, True),
        ([(b"origin", b"https://parley.test"), (b"host", b"parley.test")], True),
        ([(b"origin", b"https://trusted.test"), (b"host", b"inner:8000")], True),
        ([(b"origin", b"http://evil.test"), (b"host", b"parley.test")], False),
        ([(b"origin", b"null"), (b"host", b"parley.test")], False),
        ([(b"origin", b""), (b"host", b"")], False),
        ([(b"origin", b"x://parley.test"), (b"host", b"parley.test")], False),
        ([(b"host", b"parley.test")], False),
        ([], False),
    ],
)
async def test_a_cookie_opens_sockets_on_our_own_pages_only(
    ears: Ears,
    settings: Settings,
    headers: list[tuple[bytes, bytes]],
    opens: bool,
) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://trusted.test"]
    ada = await in_db(a_user)()
    opened = await in_db(an_open_session)(owner=ada)
    bare = audio(opened).split("?")[0] + "?consent=true"
    async with Client(bare, user=ada, headers=headers) as client:
        if opens:
            await client.speaks(0, 640)
        else:
            assert (await client.closing())[0] == 4004
    nobody = f"session/{uuid.uuid4()}/audio"
    async with Client(nobody, user=ada, headers=headers) as client:
        assert (await client.closing())[0] == 4004


async def test_a_viewer_hears_the_log_from_where_they_say(opened: Opened) -> None:
    append = in_db(events.append)
    for n in range(3):
        await append(opened.session.pk, "notice", {"n": n})
    async with Client(live(opened, after=2)) as client:
        assert [(await client.hears())["seq"] for _ in range(2)] == [3, 4]
        await append(opened.session.pk, "notice", {"n": 3})
        assert await client.hears() == {"seq": 5, "type": "notice", "n": 3}
        await client.send_to(text_data='{"type": "ping"}')
        assert await client.hears() == {"type": "pong"}
        assert feed().followed() == {opened.session.pk}
    assert nothing_held()


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([b"\0\0"], 4009),
        (["hello"], 4009),
        (['{"type":"stop"}'], 4009),
        ([""], 4009),
        (['{"type":"ping"}'] * 400, 4008),  # more than come back meanwhile
    ],
)
async def test_a_viewer_may_only_ping(
    opened: Opened, messages: list[str | bytes], code: int
) -> None:
    async with Client(live(opened)) as client:
        for message in messages:
            await client.says(message)
        found, reason = await client.closing()
        assert (found, bool(reason)) == (code, True)
        assert nothing_held()


async def test_a_feed_that_breaks_closes_its_sockets(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(type(feed()), "follow", broken)
    async with Client(live(opened)) as client:
        assert (await client.closing())[0] == 1011
    assert nothing_held()


async def test_a_cancelled_viewer_stops_following(opened: Opened) -> None:
    client = await Client(live(opened)).__aenter__()
    assert json.loads(await client.receive_from())["type"] == "state"
    assert not nothing_held()
    client.future.cancel()
    await asyncio.wait([client.future], timeout=10)
    assert nothing_held()
