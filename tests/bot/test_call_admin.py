"""Calls in the admin: found by their number, and gone with their session."""

from __future__ import annotations

import uuid

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rooms import Room

from bot.models import Call
from sessions import lifecycle
from sessions.models import State, VoiceSession

pytestmark = pytest.mark.django_db


@pytest.fixture
def call() -> Call:
    session = Room().session
    lifecycle.advance(session.pk, State.FINISHING, now=timezone.now())
    lifecycle.advance(session.pk, State.READY)
    return Call.objects.create(
        uuid=uuid.uuid4(), caller="+380441234567", callee="100", session=session
    )


def test_a_call_is_found_by_its_number(admin_client: Client, call: Call) -> None:
    url = reverse("admin:bot_call_changelist")
    found = admin_client.get(url, {"q": "1234567"}).content.decode()
    assert str(call.uuid) in found
    assert str(call.uuid) not in admin_client.get(url, {"q": "999"}).content.decode()
    page = admin_client.get(reverse("admin:bot_call_change", args=[call.pk]))
    assert call.caller in page.content.decode()


def test_it_is_neither_changed_nor_deleted_alone(
    admin_client: Client, call: Call
) -> None:
    for what in ("delete", "change"):
        url = reverse(f"admin:bot_call_{what}", args=[call.pk])
        assert admin_client.post(url, {"post": "yes"}).status_code == 403
    assert admin_client.get(reverse("admin:bot_call_add")).status_code == 403


def test_it_goes_with_its_session(admin_client: Client, call: Call) -> None:
    args = [call.session_id]
    url = reverse("admin:voice_sessions_voicesession_delete", args=args)
    admin_client.post(url, {"post": "yes"})
    assert not VoiceSession.objects.exists()
    assert not Call.objects.exists()
