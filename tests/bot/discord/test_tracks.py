"""Packets of a call to the tracks of who speaks in it, in a real session."""

from __future__ import annotations

import asyncio
import errno
import threading
import time
from typing import Any

import pytest
from babble import babble
from channels.db import database_sync_to_async
from discord_packets import ADA, BEN
from opus_packets import encoded
from pytest_django.fixtures import Settings
from scene import Listener, an_open_session, eventually

from bot.discord import tracks
from bot.discord.receive import Heard
from bot.discord.tracks import DiscordTracks
from sessions import finish, lifecycle, participants
from sessions.capture.registry import Stop, registry
from sessions.capture.sinks import Track
from sessions.errors import SessionEndedError
from sessions.models import Participant

pytestmark = pytest.mark.django_db(transaction=True)

in_db = database_sync_to_async
NAMES = {ADA: "Ada", BEN: "Ben"}


class Ears:
    def __init__(self) -> None:
        self.of: dict[str, Listener] = {}

    def __call__(self, track: Track) -> list[Listener]:
        self.of[track.name] = Listener()
        return [self.of[track.name]]


@pytest.fixture
def ears(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Ears:
    made = Ears()
    monkeypatch.setattr(tracks, "open_sinks", made)
    monkeypatch.setattr(tracks, "AGAIN_S", 0.01)
    monkeypatch.setattr(finish, "ring", lambda _: None)
    return made


async def a_call() -> DiscordTracks:
    session = (await in_db(an_open_session)()).session
    return DiscordTracks(session, name_of=NAMES.__getitem__, stopped=_stopped)


async def _stopped(_: Stop) -> None:
    return None


def says(
    call: DiscordTracks, user: int, packets: list[bytes], *, first: int = 0
) -> None:
    """At once: the reader's thread was busy."""
    for number, opus in enumerate(packets, start=first):
        heard = Heard(user, user, number, number * 960, time.monotonic(), opus)
        call.hear(heard)


async def test_each_who_speaks_has_a_track_of_their_own(ears: Ears) -> None:
    call = await a_call()
    packets = encoded(babble(48_000))
    says(call, ADA, packets)
    says(call, BEN, packets[:10])
    await call.leave()
    heard = {name: sum(len(p.pcm) for p in ear.heard) for name, ear in ears.of.items()}
    assert heard == {"Ada": 48_000, "Ben": 9_600}
    assert {ear.closed for ear in ears.of.values()} == {1}
    assert not await Participant.objects.exclude(held_by="").aexists()
    assert not registry().of_participant((await Participant.objects.afirst()).pk)  # type: ignore[union-attr]


async def test_what_comes_from_a_thread_arrives(ears: Ears) -> None:
    call = await a_call()
    packets = encoded(babble(48_000))
    await asyncio.to_thread(says, call, ADA, packets)
    await eventually(lambda: "Ada" in ears.of)
    await call.leave()
    assert len(ears.of["Ada"].arrived) == 50


async def test_a_database_that_is_away_costs_no_word(
    ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = await a_call()
    join, asked = participants.join, []

    def away(*args: Any, **how: Any) -> Participant:
        asked.append(how["key"])
        if len(asked) < 4:
            raise OSError("no database")
        return join(*args, **how)

    monkeypatch.setattr(tracks.participants, "join", away)
    says(call, ADA, encoded(babble(48_000)))
    await eventually(lambda: "Ada" in ears.of)
    await call.leave()
    assert len(ears.of["Ada"].arrived) == 50
    assert asked == [f"discord:{ADA}"] * 4


async def test_who_speaks_behind_the_end_is_not_heard(
    ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = await a_call()

    def ended(*_: Any, **__: Any) -> Participant:
        raise SessionEndedError

    monkeypatch.setattr(tracks.participants, "join", ended)
    says(call, ADA, encoded(babble(9_600)))
    await call.leave()
    says(call, BEN, encoded(babble(9_600)))
    await asyncio.sleep(0)
    assert not ears.of


async def test_who_leaves_is_written_down_while_the_others_go_on(ears: Ears) -> None:
    call = await a_call()
    packets = encoded(babble(48_000))
    says(call, ADA, packets)
    says(call, BEN, packets[:25])
    await eventually(lambda: len(ears.of) == 2)
    await call.left(ADA)
    assert ears.of["Ada"].closed == 1
    assert ears.of["Ben"].closed == 0
    says(call, BEN, packets[25:], first=25)
    await call.leave()
    assert sum(len(one.pcm) for one in ears.of["Ben"].heard) == 48_000


async def test_who_leaves_is_not_a_new_speaker_by_what_still_waits(ears: Ears) -> None:
    call = await a_call()
    packets = encoded(babble(48_000))
    says(call, ADA, packets[:40])
    await eventually(lambda: "Ada" in ears.of)
    says(call, ADA, packets[40:], first=40)
    await call.left(ADA)
    await call.leave()
    assert len(ears.of["Ada"].arrived) == 50
    assert call.speakers == 1


async def test_the_loop_goes_on_while_much_waits(ears: Ears) -> None:
    """A minute of sound came at once: as good as all of it is still to be taken."""
    call = await a_call()
    packets = encoded(babble(48_000))
    says(call, ADA, packets[:1])
    await eventually(lambda: "Ada" in ears.of)
    says(call, ADA, packets * 60, first=1)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(ears.of["Ada"].arrived) < 1_500
    await call.leave()
    assert len(ears.of["Ada"].arrived) == 3_001


async def test_who_was_heard_before_the_stop_is_written_down(ears: Ears) -> None:
    """However long their first words waited for their turn."""
    call = await a_call()
    assert await in_db(lifecycle.request_stop)(call._session.pk)
    says(call, ADA, encoded(babble(48_000)))
    await call.leave()
    assert sum(len(p.pcm) for p in ears.of["Ada"].heard) == 48_000
    assert not await Participant.objects.exclude(held_by="").aexists()


async def test_who_was_heard_is_written_down_however_far_the_end_has_come(
    ears: Ears,
) -> None:
    """A loop that was behind comes to their first words after the session's end."""
    call = await a_call()
    await finish.end(call._session.pk, reason="test")
    says(call, ADA, encoded(babble(48_000)))
    await call.leave()
    assert sum(len(p.pcm) for p in ears.of["Ada"].heard) == 48_000
    assert not await Participant.objects.exclude(held_by="").aexists()


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """While it is shut, the database lets nobody in."""
    opened, join = threading.Event(), participants.join

    def joins(*args: Any, **how: Any) -> Participant:
        assert opened.wait(20)
        return join(*args, **how)

    monkeypatch.setattr(tracks.participants, "join", joins)
    return opened


async def test_the_loop_goes_on_when_somebody_comes_whose_words_waited(
    ears: Ears, door: threading.Event
) -> None:
    call = await a_call()
    says(call, ADA, encoded(babble(48_000)) * 20)
    await call._inbox.drained()
    door.set()
    await eventually(lambda: "Ada" in ears.of)
    taken = set()
    while (count := len(ears.of["Ada"].arrived)) < 1_000:
        taken.add(count)
        await asyncio.sleep(0)
    assert len(taken) > 5, "the loop stood still"
    says(call, ADA, encoded(babble(9_600)), first=1_000)
    await call.leave()
    assert len(ears.of["Ada"].arrived) == 1_010


async def test_who_leaves_before_their_track_is_open_is_written_down(
    ears: Ears, door: threading.Event
) -> None:
    call = await a_call()
    says(call, ADA, encoded(babble(48_000)))
    leaving = asyncio.create_task(call.left(ADA))
    await asyncio.sleep(0.05)
    assert not leaving.done()
    door.set()
    await leaving
    assert sum(len(p.pcm) for p in ears.of["Ada"].heard) == 48_000
    assert ears.of["Ada"].closed == 1
    assert not await Participant.objects.exclude(held_by="").aexists()


async def test_a_disk_that_is_full_is_asked_again(
    ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def full(track: Track) -> list[Listener]:
        asked.append(track.name)
        if len(asked) < 4:
            raise OSError(errno.ENOSPC, "no space left")
        return ears(track)

    monkeypatch.setattr(tracks, "open_sinks", full)
    call = await a_call()
    says(call, ADA, encoded(babble(48_000)))
    await call.leave()
    assert len(asked) == 4
    assert sum(len(p.pcm) for p in ears.of["Ada"].heard) == 48_000


async def test_what_stays_away_is_not_waited_for_for_ever(
    ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> Participant:
        raise OSError("no database")

    monkeypatch.setattr(tracks.participants, "join", away)
    monkeypatch.setattr(tracks, "LAST_WITHIN_S", 0.05)
    call = await a_call()
    says(call, ADA, encoded(babble(9_600)))
    await call.leave()
    assert not ears.of
