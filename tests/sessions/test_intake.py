"""What speakers may send is counted over all their connections; who is in time never
notices."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest
from clients import Client, audio, in_db, nothing_held
from django.conf import settings as current
from pytest_django.fixtures import Settings
from scene import Clock, an_open_session

from sessions import consumers, finish, intake
from sessions.errors import VoiceError
from sessions.intake import Intake, Speaker
from sessions.models import Participant
from sessions.opening import Opened
from sessions.wire import WireError

HERE, ELSEWHERE = "192.0.2.7", "198.51.100.9"
BACKLOG_S = 30


class Door:
    """An intake, with a clock of its own."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.intake = Intake(clock=self.clock)

    def sends(self, speaker: Speaker, seconds: float, *, frame_s: float = 1.0) -> float:
        """All at once, in frames; how much of it was taken."""
        taken = 0.0
        while taken < seconds:
            try:
                self.intake.spend(speaker, frame_s)
            except WireError:
                break
            taken += frame_s
        return taken

    def comes(self, speaker: Speaker) -> bool:
        try:
            self.intake.admit(speaker)
        except VoiceError:
            return False
        return True


@pytest.fixture
def door() -> Door:
    return Door()


def somebody(number: int = 0, *, session: int = 1, address: str = HERE) -> Speaker:
    return Speaker(session, f"stream {number}", address)


def test_who_comes_again_with_new_streams_gets_no_more_in_the_end(door: Door) -> None:
    began, taken, streams = door.clock.now, 0.0, 0
    while door.clock.now - began < 3600:
        speaker = somebody(streams)
        if door.comes(speaker):
            taken += door.sends(speaker, 10_000)
            streams += 1
        door.clock.passes(1.0)
    most = current.AUDIO_MAX_AHEAD_S * intake.TOGETHER
    hour = 3600 / intake.REFILL_S
    assert taken <= most * (1 + hour) + streams * intake.HEADSTART_S
    assert streams <= current.TRACKS_PER_SESSION * (1 + hour)


def test_a_stream_that_comes_again_has_what_it_had(door: Door) -> None:
    for _ in range(3):
        assert door.comes(somebody())
        taken = door.sends(somebody(), 10_000)
    assert taken == 0
    door.clock.passes(60)
    assert door.comes(somebody())
    assert door.sends(somebody(), 10_000) == pytest.approx(63, abs=1)


def test_many_addresses_share_what_their_session_has(door: Door) -> None:
    taken = sum(
        door.sends(somebody(n, address=f"203.0.113.{n}"), 10_000) for n in range(250)
    )
    ahead = current.AUDIO_MAX_AHEAD_S * intake.TOGETHER
    assert taken == pytest.approx(ahead + 250 * intake.HEADSTART_S, rel=0.01)
    assert door.sends(somebody(session=2), 100) == 100


def test_sound_in_time_is_taken_whatever_others_do(door: Door) -> None:
    good = somebody(0)
    assert door.comes(good)
    for second in range(600):
        assert door.sends(good, 1.0, frame_s=0.02) >= 1.0
        bad = somebody(1000 + second)
        if door.comes(bad):
            door.sends(bad, 10_000)
        door.clock.passes(1.0)
    late = somebody(1, address=ELSEWHERE)
    assert door.comes(late)
    for _ in range(60):
        assert door.sends(late, 1.0, frame_s=0.02) >= 1.0
        door.clock.passes(1.0)


def test_twenty_behind_one_address_lose_nothing_by_bad_lines(door: Door) -> None:
    """Each minute the line is away for half of it, and all send what they kept."""
    people = [somebody(n) for n in range(20)]
    for person in people:
        assert door.comes(person)
    for _ in range(30):
        for _ in range(60 - BACKLOG_S):
            for person in people:
                assert door.sends(person, 1, frame_s=0.25) == 1
            door.clock.passes(1.0)
        door.clock.passes(BACKLOG_S)
        for person in people:
            assert door.comes(person)
            assert door.sends(person, BACKLOG_S, frame_s=0.5) == BACKLOG_S


def test_a_burst_of_ten_times_behind_a_stall_is_taken(door: Door) -> None:
    speaker = somebody()
    assert door.comes(speaker)
    for _ in range(20):
        door.clock.passes(10.0)
        for _ in range(50):
            assert door.sends(speaker, 0.2, frame_s=0.02) >= 0.2
            door.clock.passes(0.02)


def test_a_whole_lecture_comes_back_when_we_start_anew(door: Door) -> None:
    for n in range(current.TRACKS_PER_SESSION):
        assert door.comes(somebody(n))
        assert door.sends(somebody(n), 20, frame_s=0.5) == 20
    assert not door.comes(somebody(9999))
    assert door.comes(somebody(9999, address=ELSEWHERE))
    assert door.comes(somebody(9999, session=2))
    assert door.comes(somebody(9999, address=""))  # that nobody knows


def test_small_messages_are_counted_over_all_connections(door: Door) -> None:
    for _ in range(4):
        assert door.comes(somebody())
        for _ in range(1000):
            door.intake.spend(somebody(), 0.0)
    assert door.comes(somebody())
    with pytest.raises(WireError, match="messages"):
        door.intake.spend(somebody(), 0.0)


def test_what_is_remembered_has_a_bound(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions.allowance.KEPT_MOST", 100)
    for n in range(1000):
        door.comes(somebody(n, session=n, address=f"2001:db8::{n:x}"))
        door.sends(somebody(n, session=n, address=f"2001:db8::{n:x}"), 10)
    assert len(door.intake) <= 3 * 100
    door.clock.passes(intake.REFILL_S + 1)
    door.comes(somebody())
    door.sends(somebody(), 10)
    assert len(door.intake) == 4  # the stream; its address twice; its session


# --- over sockets ---------------------------------------------------------------------


@pytest.fixture
async def opened(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Opened]:
    settings.TRACKS_PER_SESSION = 2
    settings.TRUSTED_PROXIES = 1
    monkeypatch.setattr(finish, "ring", lambda _: None)
    monkeypatch.setattr(consumers, "open_sinks", lambda track: [])
    yield await in_db(an_open_session)()
    assert nothing_held()


def speaker(opened: Opened, *, address: str = "", stream: object = None) -> Client:
    headers = [(b"x-forwarded-for", address.encode())] if address else []
    path = audio(opened, stream=stream) if stream else audio(opened)
    return Client(path, headers=headers)


@in_db
def people() -> int:
    return Participant.objects.count()


@pytest.mark.django_db(transaction=True)
async def test_as_many_speak_in_a_session_as_may_and_one_of_them_comes_again(
    opened: Opened,
) -> None:
    mine = uuid.uuid4()
    async with speaker(opened, stream=mine) as one, speaker(opened):
        assert (await one.hears())["type"] == "ready"
        async with speaker(opened) as third:
            assert await third.closing() == (
                4015,
                "As many people speak in this session as it takes.",
            )
        assert await people() == 2
        async with speaker(opened, stream=mine) as again:
            assert (await again.hears())["type"] == "ready"
    async with speaker(opened) as later:
        await later.speaks(0, 640)


@pytest.mark.django_db(transaction=True)
async def test_new_streams_of_one_address_make_no_people_without_end(
    opened: Opened,
) -> None:
    for _ in range(2):
        async with speaker(opened, address=HERE) as one:
            await one.speaks(0, 640)
    async with speaker(opened, address=HERE) as third:
        assert await third.closing() == (
            4014,
            "Too many new speakers come from your address.",
        )
    async with speaker(opened, address=ELSEWHERE) as other:
        await other.speaks(0, 640)
    assert await people() == 3


@pytest.mark.django_db(transaction=True)
async def test_a_stream_that_connects_again_does_not_begin_anew(opened: Opened) -> None:
    mine = uuid.uuid4()
    frame = bytes(64_000)  # two seconds
    for seconds, code in ((60, None), (60, None), (4, 4008)):
        async with speaker(opened, stream=mine) as one:
            await one.hears()
            for _ in range(seconds // 2):
                await one.says(frame)
            if code:
                assert (await one.closing())[0] == code
            else:
                for _ in range(seconds // 2):
                    assert (await one.hears())["ok"]


@pytest.mark.django_db(transaction=True)
async def test_a_new_stream_gets_no_reserve_of_its_own(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "TOGETHER", 1)
    frame = bytes(64_000)  # two seconds
    async with speaker(opened) as one:
        for _ in range(60):
            await one.says(frame)
            assert (await one.hears())["ok"]
    async with speaker(opened) as another:
        for _ in range(60):
            await another.says(frame)
        assert (await another.closing())[0] == 4008
