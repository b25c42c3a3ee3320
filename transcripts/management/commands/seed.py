"""`manage.py seed`: sessions that are over, with their lines, as many as a measurement
needs. For databases that hold nothing anybody wants to keep."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import accumulate, islice, pairwise
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from sessions.audio.frames import SAMPLES_PER_MS
from sessions.models import Participant, SessionEvent, Source, State, VoiceSession
from transcripts import lines
from transcripts.models import Utterance, UtteranceState

OWNERS = 50
"""Users among whom the sessions are dealt out, from `seed-0` on."""
SPEAKERS = 3
WORDS_MOST = 12
VOCABULARY = 20_000
ROWS = 2_000
"""Written at once."""
NAMES = ("Ada", "Ben", "Cleo", "Dora", "Emil", "Fay", "Gus", "Hana", "Ivo", "Jo")
SYLLABLES = tuple(a + b for a in "bdfgklmnprstvz" for b in "aeiou")
LANGUAGES = ("en", "en", "en", "it", "ro", "uk", "ru")
LINE_MS = 3_000
"""From one line's beginning to the next one's."""


class Command(BaseCommand):
    help = "Fill an empty database with sessions and their lines, for measurements."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--sessions", type=int, default=200)
        parser.add_argument("--utterances", type=int, default=10_000)
        parser.add_argument(
            "--long", type=int, default=0, help="one more session of so many lines"
        )

    def handle(self, *args: Any, **options: int) -> None:
        count, said = options["sessions"], options["utterances"]
        if count < 1 or said < count:
            raise CommandError("At least one session, and a line for each, are wanted.")
        if VoiceSession.objects.exists():
            raise CommandError("There are sessions here already: seed an empty one.")
        chance = random.Random(1)
        owners = _owners()
        made = _talks(chance, count, owners)
        edges = [round(n * said / count) for n in range(count + 1)]
        each = [behind - first for first, behind in pairwise(edges)]
        for rows in _batches(_said(chance, made, each)):
            Utterance.objects.bulk_create(rows)
        if options["long"]:
            talk = _a_long_one(chance, owners[0], options["long"])
            self.stdout.write(f"The long one is {talk.public_id}.")
        self.stdout.write(f"{count} sessions and {said} lines were made.")


def _owners() -> list[Any]:
    users = get_user_model()
    users.objects.bulk_create(
        [users(username=f"seed-{number}") for number in range(OWNERS)]
    )
    return list(users.objects.filter(username__startswith="seed-").order_by("pk"))


def _talks(chance: random.Random, count: int, owners: list[Any]) -> list[VoiceSession]:
    now = timezone.now()
    rows = [
        _talk(chance, owners[number % OWNERS], now - timedelta(minutes=count - number))
        for number in range(count)
    ]
    return VoiceSession.objects.bulk_create(rows, batch_size=ROWS)


def _talk(chance: random.Random, owner: Any, at: datetime) -> VoiceSession:
    return VoiceSession(
        source=chance.choice(Source.values),
        owner=owner,
        title=_sentence(chance, 3).capitalize(),
        language=chance.choice(LANGUAGES),
        state=State.READY,
        created_at=at,
        started_at=at,
        ended_at=at + timedelta(minutes=5),
        end_reason="ended",
    )


def _people(chance: random.Random, talk: VoiceSession) -> list[Participant]:
    names = chance.sample(NAMES, SPEAKERS)
    return [
        Participant(session=talk, key=f"{chance.getrandbits(64):x}", name=name)
        for name in names
    ]


def _said(
    chance: random.Random, talks: list[VoiceSession], each: list[int]
) -> Iterator[Utterance]:
    """So many lines of each session, by its three people in turn."""
    asked = iter(zip(talks, each, strict=True))
    while some := list(islice(asked, ROWS // SPEAKERS)):
        people = [_people(chance, talk) for talk, _ in some]
        flat = [person for three in people for person in three]
        Participant.objects.bulk_create(flat)
        for (talk, count), three in zip(some, people, strict=True):
            for number in range(count):
                yield _line(chance, talk, three[number % SPEAKERS], number)


def _line(
    chance: random.Random, talk: VoiceSession, person: Participant, number: int
) -> Utterance:
    start = number * LINE_MS * SAMPLES_PER_MS
    end = start + (LINE_MS - 500) * SAMPLES_PER_MS
    return Utterance(
        public_id=uuid.UUID(int=chance.getrandbits(128), version=4),
        session=talk,
        participant=person,
        start=start,
        end=end,
        audio_start=start,
        state=UtteranceState.DONE,
        text=_sentence(chance, chance.randint(1, WORDS_MOST)),
        language=talk.language,
        confidence=0.9,
        finished_at=talk.ended_at,
    )


def _a_long_one(chance: random.Random, owner: Any, count: int) -> VoiceSession:
    """With its events: what its page shows."""
    talk = _talk(chance, owner, timezone.now())
    talk.title, talk.last_seq = "A long one", count
    talk.save()
    three = Participant.objects.bulk_create(_people(chance, talk))
    for first in range(0, count, ROWS):
        with transaction.atomic():
            rows = Utterance.objects.bulk_create(
                _line(chance, talk, three[number % SPEAKERS], number)
                for number in range(first, min(count, first + ROWS))
            )
            SessionEvent.objects.bulk_create(
                SessionEvent(
                    session=talk, seq=seq, type="utterance", data=lines.event_of(row)
                )
                for seq, row in enumerate(rows, first + 1)
            )
    return talk


def _sentence(chance: random.Random, words: int) -> str:
    return " ".join(chance.choices(WORDS, cum_weights=WEIGHTS, k=words))


def _vocabulary() -> list[str]:
    chance = random.Random(2)
    found = dict.fromkeys(
        "".join(chance.choices(SYLLABLES, k=chance.randint(1, 4)))
        for _ in range(3 * VOCABULARY)
    )
    return list(found)[:VOCABULARY]


def _batches(rows: Iterator[Utterance]) -> Iterator[list[Utterance]]:
    while some := list(islice(rows, ROWS)):
        yield some


WORDS = _vocabulary()
WEIGHTS = list(accumulate(1 / (rank + 1) for rank in range(len(WORDS))))
"""As languages have it (Zipf): a few words are everywhere."""
