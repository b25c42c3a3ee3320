"""A room with people in it, and a bell that only counts, for tests of transcripts."""

from __future__ import annotations

import uuid
from typing import Any

from django.utils import timezone
from fake_engine import sound_of

from sessions import events
from sessions.models import Participant, State, VoiceSession
from transcripts import utterances
from transcripts.models import Utterance


class Bell:
    """Who was rung for, in order; may be out of order."""

    def __init__(self) -> None:
        self.rung: list[tuple[str, tuple[int, ...], str]] = []
        self.unheard: int | None = 0
        self.works = True

    def ring(self, task: str, *args: int, queue: str) -> bool:
        if self.works:
            self.rung.append((task, args, queue))
        return self.works

    def waiting(self, queue: str) -> int | None:
        return self.unheard

    def count(self, task: str) -> int:
        return sum(1 for rung, _, _ in self.rung if rung == task)


class Room:
    """One active session."""

    def __init__(self, *, language: str = "") -> None:
        self.session = VoiceSession.objects.create(
            source="browser",
            state=State.ACTIVE,
            started_at=timezone.now(),
            language=language,
        )

    def joins(self, name: str) -> Participant:
        return Participant.objects.create(
            session=self.session, key=uuid.uuid4().hex, name=name
        )

    def hears(
        self, who: Participant, text: str, *, at_ms: int | None = None
    ) -> Utterance:
        spoken = spoken_by(who, text, at_ms=at_ms)
        utterances.record(spoken)
        return Utterance.objects.get(public_id=spoken.public_id)

    def told(self, type_: str) -> list[dict[str, Any]]:
        log = events.replay(self.session.pk, after=0)
        return [event.data for event in log if event.type == type_]


def spoken_by(
    who: Participant, text: str, *, at_ms: int | None = None
) -> utterances.Spoken:
    """One second of speech, by default behind all that they said before."""
    if at_ms is None:
        at_ms = 1000 * Utterance.objects.filter(participant=who).count()
    start = at_ms * 48
    return utterances.Spoken(
        public_id=uuid.uuid4(),
        session_id=who.session_id,
        participant_id=who.pk,
        start=start,
        end=start + 48_000,
        audio_start=max(0, start - 400 * 48),
        audio=sound_of(text),
    )
