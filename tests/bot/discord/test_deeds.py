"""What is known of calls: forgotten when all is undone and the session is deleted."""

from __future__ import annotations

import pytest
from scene import a_session

from bot.discord import deeds
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
