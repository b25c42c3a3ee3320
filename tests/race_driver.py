"""Four workers and a thief at one table, for the test of exactly once.

The thief takes claims away from living workers, as an expired lease would. Prints what
the event log holds in the end, as JSON.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import time
import uuid
from datetime import timedelta

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceproject.settings")
django.setup()

from django.core.management import call_command  # noqa: E402 (after the app registry)
from django.db import connections  # noqa: E402
from django.utils import timezone  # noqa: E402
from fake_engine import FakeEngine, sound_of  # noqa: E402

from sessions.models import Participant, SessionEvent, State, VoiceSession  # noqa: E402  # noqa: E402
from transcripts import utterances, workers  # noqa: E402
from transcripts.models import Utterance  # noqa: E402

WORKERS = 4
UTTERANCES = 80
NOTHING = utterances.Backlog(pending=0, claimed=0, oldest_s=0.0)


def record() -> None:
    for name in ("Alice", "Bob"):
        session = VoiceSession.objects.create(
            source="browser", state=State.ACTIVE, started_at=timezone.now()
        )
        who = Participant.objects.create(session=session, key=name, name=name)
        Utterance.objects.bulk_create(
            Utterance(
                public_id=uuid.uuid4(),
                session=session,
                participant=who,
                start=number,
                end=number + 1,
                audio_start=number,
                audio=sound_of(f"{name} {number}", seconds=0.1),
            )
            for number in range(UTTERANCES // 2)
        )


def work(seed: int) -> None:
    chance, engine = random.Random(seed), FakeEngine()
    while utterances.backlog() != NOTHING:
        claim = utterances.claim(workers.identity())
        if claim is None:
            time.sleep(0.01)
            continue
        time.sleep(chance.random() * 0.02)
        utterances.complete(claim, engine.final(claim.audio, language="en"))


def steal(until: float) -> None:
    workers.lives = lambda owner: False
    while time.monotonic() < until:
        # Long past, so that a row taken away needs no rest.
        long_ago = timezone.now() - timedelta(hours=1)
        utterances.release_dead(workers.host(), now=long_ago)
        time.sleep(0.01)


def main() -> None:
    call_command("migrate", verbosity=0)
    record()
    connections.close_all()
    fork = multiprocessing.get_context("fork")
    people = [fork.Process(target=work, args=(seed,)) for seed in range(WORKERS)]
    people.append(fork.Process(target=steal, args=(time.monotonic() + 2,)))
    for process in people:
        process.start()
    for process in people:
        process.join(timeout=30)
    told = SessionEvent.objects.filter(type="utterance").order_by("session", "seq")
    stolen = Utterance.objects.filter(attempts__gt=1).count()
    found = {
        "texts": [event.data["text"] for event in told],
        "states": list(Utterance.objects.values_list("state", flat=True)),
        "stolen": stolen,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
