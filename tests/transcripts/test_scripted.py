"""Lines whose words are known: what we say ourselves."""

from __future__ import annotations

from rooms import Bell, Room

from transcripts import utterances
from transcripts.models import Utterance

WORKER = "host:1:2"


def test_what_we_say_ourselves_is_a_line_without_a_model(
    room: Room, bell: Bell
) -> None:
    us = room.joins("Parley")
    utterances.write(
        utterances.Scripted(room.session.pk, us.pk, 48_000, 96_000, "Good day.", "en")
    )
    assert room.told("utterance") == [
        {
            "id": str(Utterance.objects.get().public_id),
            "participant": str(us.public_id),
            "name": "Parley",
            "start_ms": 1000,
            "end_ms": 2000,
            "text": "Good day.",
            "words": [],
            "language": "en",
            "confidence": None,
        }
    ]
    assert [line.text for line in utterances.of_session(room.session.pk)] == [
        "Good day."
    ]
    assert bell.rung == []
    assert utterances.claim(WORKER) is None
