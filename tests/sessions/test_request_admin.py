"""The queue in the admin: who waits where, and out of it when somebody says so."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from sessions import queue
from sessions.models import Source, VoiceRequest

pytestmark = pytest.mark.django_db
URL = "admin:voice_sessions_voicerequest_changelist"


def asks(user: str) -> VoiceRequest:
    return queue.ask(source=Source.DISCORD, guild_id="77", user_id=user)


def rows(client: Client, **query: str) -> list[Any]:
    page = client.get(reverse(URL), query)
    return list(page.context["cl"].result_list)


def take_out(client: Client, *requests: VoiceRequest) -> None:
    ids = [request.pk for request in requests]
    client.post(reverse(URL), {"action": "take_out", "_selected_action": ids})


def test_each_who_waits_is_shown_with_their_place(admin_client: Client) -> None:
    asks("ann"), asks("ben")
    assert [row.standing for row in rows(admin_client)] == [2, 1]


def test_who_is_taken_out_makes_room_for_those_behind(admin_client: Client) -> None:
    ann, ben = asks("ann"), asks("ben")
    take_out(admin_client, ann)
    assert rows(admin_client, state="waiting") == [ben]
    assert queue.place(ben.pk) == 1


def test_who_is_served_already_stays(admin_client: Client) -> None:
    ann = asks("ann")
    queue.take_next(["77"], holder="bot", most=0, lease_s=60.0)
    take_out(admin_client, ann)
    assert rows(admin_client, state="served") == [ann]


def test_a_request_is_neither_changed_nor_deleted_alone(admin_client: Client) -> None:
    ann = asks("ann")
    for what in ("delete", "change"):
        url = reverse(f"admin:voice_sessions_voicerequest_{what}", args=[ann.pk])
        assert admin_client.post(url, {"post": "yes"}).status_code == 403
