"""What is known of calls: forgotten when all is undone and the session is deleted."""

from __future__ import annotations

import pytest
from scene import a_session

from bot.discord.guild import deeds
from bot.models import DiscordCall
from sessions import deletion
from sessions.models import State, VoiceSession

pytestmark = pytest.mark.django_db


def a_call_of_a_deleted_session() -> DiscordCall:
    session = a_session(State.READY, guild_id="77", user_id="5")
    call = deeds.begin(session, text_channel_id=1, locale="en", room_name="Voice-Ann")
    deletion.delete(session)
    return call


def test_a_call_without_a_session_is_forgotten_once_it_is_undone() -> None:
    call = a_call_of_a_deleted_session()
    assert deeds.forget_ownerless() == 0
    deeds.undone(call.pk, what=["room_id", "room_name"])
    assert deeds.forget_ownerless() == 1
    assert not DiscordCall.objects.exists()


def test_a_call_is_known_for_as_long_as_its_session() -> None:
    session = a_session(State.READY, guild_id="77", user_id="5")
    call = deeds.begin(session, text_channel_id=1, locale="en")
    deeds.undone(call.pk, what=[])
    assert deeds.forget_ownerless() == 0
    assert VoiceSession.objects.get().discord == call


# --- what a call takes over from those before -----------------------------------------


def a_call(state: State = State.ACTIVE, *, guild: str = "77") -> DiscordCall:
    session = a_session(state, guild_id=guild, user_id="5")
    return deeds.begin(session, text_channel_id=1, locale="en")


def test_the_next_call_is_to_give_back_the_name_that_the_last_one_left() -> None:
    first, second = a_call(State.READY), a_call()
    deeds.renamed(first, nickname="REC Ann", before="Ann")
    assert deeds.name_left(77) == first
    deeds.renamed(second, nickname="REC Ann", before="Ann")
    assert deeds.name_left(77) == second
    first.refresh_from_db()
    assert first.nickname == ""
    assert first.undone_at


def test_a_name_in_another_guild_is_left_alone() -> None:
    here, there = a_call(State.READY), a_call(guild="78")
    deeds.renamed(here, nickname="REC Ann", before="Ann")
    deeds.renamed(there, nickname="REC Ben", before="Ben")
    assert deeds.name_left(77) == here
    assert deeds.name_left(78) == there


def test_the_next_call_is_to_take_off_the_status_that_the_last_one_left() -> None:
    first, second = a_call(State.READY), a_call()
    deeds.status_set(first.pk, channel_id=9)
    deeds.status_set(second.pk, channel_id=9)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status_on, second.status_on) == ("", "9")
    assert first.undone_at


def test_what_is_done_late_is_to_be_undone_again() -> None:
    call = a_call(State.READY)
    deeds.undone(call.pk, what=[])
    assert deeds.still_left(call.pk) is None
    deeds.room_made(call.pk, room_id=9)
    assert deeds.still_left(call.pk) == call


def test_nothing_is_left_of_a_call_that_lives() -> None:
    assert deeds.still_left(a_call().pk) is None


def test_a_panel_is_left_by_a_call_that_is_over() -> None:
    over, alive = a_call(State.READY), a_call()
    for call in (over, alive):
        deeds.panel_posted(call.pk, panel_id=3)
    assert deeds.panels_left() == [over]
    deeds.panel_tried(over.pk, done=True)
    assert deeds.panels_left() == []
