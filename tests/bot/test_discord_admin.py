"""Discord's calls and opt-outs in the admin: what was left behind is found, and tried
again."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from scene import a_session

from bot.discord.guild import deeds
from bot.models import DiscordCall, Erasure, OptOut
from sessions.models import State, VoiceSession

pytestmark = pytest.mark.django_db
CALLS = "admin:bot_discordcall_changelist"


def a_call(state: State, **fields: Any) -> DiscordCall:
    session = a_session(state, guild_id="77", user_id="5")
    return DiscordCall.objects.create(
        session=session, guild_id="77", user_id="5", **fields
    )


def listed(client: Client, **query: str) -> set[int]:
    page = client.get(reverse(CALLS), query)
    return {call.pk for call in page.context["cl"].result_list}


def act(client: Client, url: str, action: str, *rows: Any) -> None:
    given = {"action": action, "_selected_action": [row.pk for row in rows]}
    assert client.post(reverse(url), given | {"post": "yes"}).status_code == 302


def test_what_a_call_left_behind_is_listed_and_a_call_that_runs_is_not(
    admin_client: Client,
) -> None:
    a_call(State.ACTIVE, nickname="![RECORDING] Parley")
    left = a_call(State.READY, room_id="9", error="room_id: Forbidden 403 50013")
    done = a_call(State.READY, undone_at=timezone.now())
    assert listed(admin_client, undone="no") == {left.pk}
    assert listed(admin_client, undone="yes") == {done.pk}
    assert len(listed(admin_client)) == 3
    assert "50013" in admin_client.get(reverse(CALLS)).content.decode()


def test_what_waits_to_be_tried_again_is_tried_at_once_when_somebody_says_so(
    admin_client: Client,
) -> None:
    left = a_call(State.READY, room_id="9", attempts=20)
    VoiceSession.objects.update(ended_at=timezone.now())
    assert deeds.orphans([77]) == []
    act(admin_client, CALLS, "undo_now", left)
    assert deeds.orphans([77]) == [left]


def test_a_call_that_runs_is_not_undone_by_hand(admin_client: Client) -> None:
    runs = a_call(State.ACTIVE, room_id="9", attempts=3)
    act(admin_client, CALLS, "undo_now", runs)
    runs.refresh_from_db()
    assert runs.attempts == 3
    assert deeds.orphans([77]) == []


def test_a_call_is_neither_changed_nor_deleted_alone(admin_client: Client) -> None:
    call = a_call(State.READY, room_id="9")
    for what in ("delete", "change"):
        url = reverse(f"admin:bot_discordcall_{what}", args=[call.pk])
        assert admin_client.post(url, {"post": "yes"}).status_code == 403


def test_what_is_still_to_be_undone_outlives_its_session(admin_client: Client) -> None:
    left = a_call(State.READY, room_id="9")
    url = "admin:voice_sessions_voicesession_delete"
    admin_client.post(reverse(url, args=[left.session_id]), {"post": "yes"})
    assert not VoiceSession.objects.exists()
    assert [one.session for one in deeds.orphans([77])] == [None]
    assert listed(admin_client, undone="no") == {left.pk}


def test_whoever_is_taken_off_the_opt_outs_is_recorded_again(
    admin_client: Client,
) -> None:
    for user_id in ("5", "6", "7"):
        OptOut.objects.create(user_id=user_id)
    five, six, seven = OptOut.objects.order_by("pk")
    url = reverse("admin:bot_optout_delete", args=[five.pk])
    admin_client.post(url, {"post": "yes"})
    act(admin_client, "admin:bot_optout_changelist", "delete_selected", six)
    assert list(OptOut.objects.all()) == [seven]


def test_nobody_is_opted_out_by_hand(admin_client: Client) -> None:
    assert admin_client.get(reverse("admin:bot_optout_add")).status_code == 403


def test_who_waits_to_be_forgotten_is_listed_and_cannot_be_struck_off(
    admin_client: Client,
) -> None:
    wish = Erasure.objects.create(user_id="5")
    page = admin_client.get(reverse("admin:bot_erasure_changelist"))
    assert {one.pk for one in page.context["cl"].result_list} == {wish.pk}
    strike = reverse("admin:bot_erasure_delete", args=[wish.pk])
    assert admin_client.post(strike, {"post": "yes"}).status_code == 403
    assert Erasure.objects.filter(pk=wish.pk).exists()
