"""Deleting in the admin: an ended session goes with everything that was said in it."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rooms import Room

from sessions import lifecycle
from sessions.models import Participant, SessionEvent, State, VoiceSession
from transcripts.models import Utterance

pytestmark = pytest.mark.django_db


def a_talk(*, ended: bool) -> VoiceSession:
    room = Room()
    room.hears(room.joins("Alice"), "hello team")
    if ended:
        lifecycle.advance(room.session.pk, State.FINISHING, now=timezone.now())
        lifecycle.advance(room.session.pk, State.READY)
    return room.session


def delete(client: Client, session: VoiceSession) -> None:
    url = reverse("admin:voice_sessions_voicesession_delete", args=[session.pk])
    client.post(url, {"post": "yes"})


def test_an_ended_session_is_deleted_with_all_that_was_said(
    admin_client: Client,
) -> None:
    delete(admin_client, a_talk(ended=True))
    for model in (VoiceSession, Participant, Utterance, SessionEvent):
        assert not model.objects.exists()


def test_a_session_that_goes_on_is_not_deleted(admin_client: Client) -> None:
    delete(admin_client, a_talk(ended=False))
    assert VoiceSession.objects.exists()


def test_what_was_said_cannot_be_deleted_piece_by_piece(admin_client: Client) -> None:
    session = a_talk(ended=True)
    said = session.utterances.get()
    url = reverse("admin:transcripts_utterance_delete", args=[said.pk])
    assert admin_client.post(url, {"post": "yes"}).status_code == 403
