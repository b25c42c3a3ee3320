"""The web's and the bot's part in the test of killed workers, in a process of its own.

Records utterances, then sweeps until all have their text; ends when nothing waits.
Arguments: how many utterances.
"""

from __future__ import annotations

import os
import sys
import time
import uuid

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceproject.settings")
django.setup()

from django.utils import timezone  # noqa: E402 (after the app registry)
from fake_engine import sound_of  # noqa: E402

from sessions.models import Participant, State, VoiceSession  # noqa: E402
from transcripts import sweeper, utterances  # noqa: E402

SWEEP_S = 0.5
SECOND = 48_000


def record(count: int) -> int:
    session = VoiceSession.objects.create(
        source="browser", state=State.ACTIVE, started_at=timezone.now()
    )
    people = [
        Participant.objects.create(session=session, key=name, name=name)
        for name in ("Alice", "Bob", "Carol")
    ]
    for number in range(count):
        spoken = utterances.Spoken(
            public_id=uuid.uuid4(),
            session_id=session.pk,
            participant_id=people[number % len(people)].pk,
            start=number * SECOND,
            end=number * SECOND + SECOND // 2,
            audio_start=number * SECOND,
            audio=sound_of(f"utterance {number}", seconds=0.5),
        )
        utterances.record(spoken)
    return session.pk


def main() -> None:
    session_id = record(int(sys.argv[1]))
    print("recorded", flush=True)
    while utterances.unfinished(session_id):
        sweeper.sweep(now=timezone.now())
        time.sleep(SWEEP_S)
    print("finished", flush=True)


if __name__ == "__main__":
    main()
