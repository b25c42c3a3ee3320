"""What is done about a link that hears nothing, and how often."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from bot.discord.dave import SILENCE
from bot.discord.hearing import Hearing
from bot.discord.linking.deafness import UNOPENED_RECONNECTS, Deafness

US, ADA, BEN = 9, 1, 2
SOUND = b"sound"


class Room:
    """A connection to a channel with Ada and us in it, as far as it is looked at."""

    def __init__(self) -> None:
        self.states = {US: state(), ADA: state()}
        self.members = {ADA: SimpleNamespace(bot=False)}
        self.hearing = Hearing()
        self.deafness = Deafness()

    def reconnects(self) -> None:
        self.hearing = Hearing()

    def is_enough(self, now_s: float) -> bool:
        guild = SimpleNamespace(
            id=7, me=SimpleNamespace(id=US), get_member=self.members.get
        )
        client = SimpleNamespace(
            guild=guild,
            channel=SimpleNamespace(voice_states=self.states),
            receiver=SimpleNamespace(hearing=self.hearing),
        )
        return self.deafness.is_enough(cast("Any", client), now_s=now_s)


def state(**held: bool) -> SimpleNamespace:
    names = ("mute", "self_mute", "suppress", "deaf", "self_deaf")
    return SimpleNamespace(**dict.fromkeys(names, False) | held)


def breaks_off(room: Room) -> None:
    room.hearing.heard(ADA, SOUND, now_s=0.0)


def test_it_warns_once_before_it_does_anything() -> None:
    room = Room()
    breaks_off(room)
    with capture_logs() as logs:
        assert not any(room.is_enough(now_s) for now_s in (9.0, 10.0, 12.0, 19.0))
    (warning,) = logs
    assert warning["event"] == "discord.deaf"
    assert warning["user"] == ADA


def test_it_has_enough_after_twenty_seconds() -> None:
    room = Room()
    breaks_off(room)
    assert room.is_enough(20.0)


def test_a_room_that_stays_silent_is_not_reconnected_for_ever() -> None:
    room = Room()
    breaks_off(room)
    assert room.is_enough(20.0)
    room.reconnects()
    room.hearing.announced(ADA, now_s=21.0)  # as a server does with all who are there
    assert not room.is_enough(1_000.0)


def test_it_is_tried_again_once_somebody_was_heard() -> None:
    room = Room()
    breaks_off(room)
    assert room.is_enough(20.0)
    room.reconnects()
    room.hearing.heard(ADA, SOUND, now_s=30.0)
    assert not room.is_enough(31.0)
    assert room.is_enough(51.0)


def test_packets_that_never_open_are_reconnected_so_often_and_no_more() -> None:
    room, tries = Room(), 0
    for began_s in range(0, 1_000, 50):
        room.reconnects()
        room.hearing.lost(now_s=float(began_s))
        room.hearing.lost(now_s=began_s + 20.0)
        tries += room.is_enough(began_s + 20.0)
    assert tries == UNOPENED_RECONNECTS


@pytest.mark.parametrize(
    "why", ["mute", "self_mute", "suppress", "gone", "a bot", "deaf", "self_deaf"]
)
def test_who_cannot_be_heard_is_not_missed(why: str) -> None:
    room = Room()
    breaks_off(room)
    if why == "gone":
        del room.states[ADA]
    elif why == "a bot":
        room.members[ADA].bot = True
    else:
        room.states[US if "deaf" in why else ADA] = state(**{why: True})
    assert not room.is_enough(100.0)


def test_what_comes_to_its_end_is_not_missed() -> None:
    room = Room()
    breaks_off(room)
    room.hearing.heard(ADA, SILENCE, now_s=0.1)
    assert not room.is_enough(100.0)
