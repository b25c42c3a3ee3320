from __future__ import annotations

from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from rooms import Bell, Room

from transcripts import doorbell
from transcripts.models import Utterance, UtteranceState

LIST = "admin:transcripts_utterance_changelist"


def enter() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def test_it_shows_utterances_and_changes_none(room: Room) -> None:
    row = room.hears(room.joins("Alice"), "x")
    client = enter()
    assert client.get(reverse(LIST)).status_code == 200
    page = reverse("admin:transcripts_utterance_change", args=[row.pk])
    assert client.get(page).status_code == 200
    assert client.post(page, {"text": "y"}).status_code == 403
    assert client.get(reverse("admin:transcripts_utterance_add")).status_code == 403


def test_given_up_ones_are_transcribed_again(room: Room, bell: Bell) -> None:
    alice = room.joins("Alice")
    failed, waiting = room.hears(alice, "x"), room.hears(alice, "y")
    Utterance.objects.filter(pk=failed.pk).update(
        state=UtteranceState.FAILED, attempts=5
    )
    bell.rung.clear()
    chosen = {"action": "transcribe_again", "_selected_action": [failed.pk, waiting.pk]}
    answer = enter().post(reverse(LIST), chosen, follow=True)
    told = [str(message) for message in answer.context["messages"]]
    assert told == [
        "1 will be transcribed again.",
        "1 had not failed, or have no sound any more.",
    ]
    failed.refresh_from_db()
    assert (failed.state, failed.attempts) == ("pending", 0)
    assert bell.count(doorbell.DRAIN) == 1
