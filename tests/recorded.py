"""Sessions on Discord with people in them whose sound and words are kept, for tests of
what becomes of them."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from decoding import as_floats
from django.conf import settings
from django.utils import timezone
from fake_engine import sound_of

from bot.discord.text import lines
from sessions import events, finish, keys, recordings, spool
from sessions.audio import journal
from sessions.audio.frames import TIMELINE_RATE, Frame
from sessions.audio.journal import Head
from sessions.models import Participant, Source, State, Tier, VoiceSession
from sessions.storage import storage
from transcripts import utterances
from transcripts.models import Utterance, UtteranceState

RATE = 16_000
LASTED = timedelta(seconds=20)


class Recorded:
    """One of them: an active session until `ends`."""

    def __init__(
        self, *, guild_id: int = 1, asked_by: int = 0, title: str = "", **fields: Any
    ) -> None:
        self.session = VoiceSession.objects.create(
            source=Source.DISCORD,
            guild_id=str(guild_id),
            user_id=str(asked_by or ""),
            title=title,
            state=State.ACTIVE,
            started_at=timezone.now() - LASTED,
            **fields,
        )

    def joins(self, user_id: int, name: str) -> Participant:
        return Participant.objects.create(
            session=self.session,
            key=f"discord:{user_id}",
            name=name,
            joined_at=timezone.now() - LASTED,
        )

    def sounds(
        self, person: Participant, *, at_s: float, seconds: float = 2.0
    ) -> spool.Folder:
        """They make a noise; it lies in the spool as their process left it."""
        assert self.session.started_at is not None
        folder = spool.new(
            session=self.session.public_id,
            participant=person.public_id,
            opened_at=recordings.moment(self.session, int(at_s * TIMELINE_RATE)),
        )
        started = self.session.started_at.isoformat()
        whose = str(self.session.public_id), str(person.public_id)
        ids = self.session.pk, person.pk
        data = journal.head(Head(*whose, *ids, RATE, started, started))
        noise = np.random.default_rng(person.pk)
        for n in range(int(seconds * 50)):
            pcm = noise.integers(-5000, 5000, RATE // 50).astype("<i2")
            place = int(at_s * TIMELINE_RATE) + n * TIMELINE_RATE // 50
            data += journal.sound(n, Frame(pcm, RATE, place / TIMELINE_RATE))
            data += journal.placed(n, place, dropped=0)
        folder.journal.write_bytes(data)
        return folder

    def says(self, person: Participant, words: str, *, at_ms: int = 1000) -> Utterance:
        """They said it, it was written down, and told."""
        position = at_ms * TIMELINE_RATE // 1000
        row = Utterance.objects.create(
            session=self.session,
            participant=person,
            start=position,
            end=position + TIMELINE_RATE,
            audio_start=position,
            state=UtteranceState.DONE,
            text=words,
        )
        said = {"id": str(row.public_id), "text": words, **_who(person)}
        seq = events.append(self.session.pk, "utterance", said)
        self.line(person, words, seq=seq)
        return row

    def mumbles(self, person: Participant) -> Utterance:
        """They said what no model could write down: that is kept, and told."""
        row = Utterance.objects.create(
            session=self.session,
            participant=person,
            start=0,
            end=TIMELINE_RATE,
            audio_start=0,
            audio=sound_of("mumble"),
            state=UtteranceState.FAILED,
        )
        told = {"code": "utterance_failed", "id": str(row.public_id)}
        events.append(self.session.pk, "notice", told | {"message": person.name})
        return row

    def line(self, person: Participant, words: str, *, seq: int) -> None:
        """It stands in the file of lines, too."""
        folder = Path(settings.LOGS_DIR) / "lines"
        folder.mkdir(parents=True, exist_ok=True)
        with lines.path_of(folder, self.session.public_id).open("a") as file:
            file.write(json.dumps({"seq": seq, "text": words, **_who(person)}) + "\n")

    def ends(self) -> VoiceSession:
        """All of it, up to the last durable step."""
        self.stops()
        assert finish.complete(self.session.pk)
        self.session.refresh_from_db()
        return self.session

    def stops(self) -> None:
        """Only its end has begun."""
        VoiceSession.objects.filter(pk=self.session.pk).update(
            state=State.FINISHING, ended_at=timezone.now()
        )
        self.session.refresh_from_db()

    # --- what is left of it -----------------------------------------------------------

    @property
    def files(self) -> set[str]:
        """The kinds of what storage has, each with whose it is."""
        found = set()
        for stored in storage().listing(keys.session_prefix(self.session.public_id)):
            parsed = keys.parse(stored.key)
            assert parsed is not None
            found.add(f"{parsed.tier} {parsed.participant or 'all'}")
        return found

    def loudness(self, *, at_s: float, seconds: float = 1.0) -> float:
        """Of the master there: 0 for silence."""
        (master,) = recordings.of_tier(self.session.pk, Tier.MASTER)
        sound = as_floats(Path(settings.STORAGE_DIR) / master.key)
        window = sound[int(at_s * 48_000) : int((at_s + seconds) * 48_000)]
        return float(np.sqrt(np.mean(window**2))) if len(window) else 0.0

    @property
    def transcript(self) -> str:
        """As it is in storage; "" where there is none."""
        key = keys.transcript_key(self.session.public_id, suffix="txt")
        path = Path(settings.STORAGE_DIR) / key
        return path.read_text("utf-8") if path.exists() else ""

    @property
    def lines(self) -> str:
        """The file of them."""
        folder = Path(settings.LOGS_DIR) / "lines"
        return lines.path_of(folder, self.session.public_id).read_text("utf-8")

    @property
    def words(self) -> list[str]:
        return [line.text for line in utterances.of_session(self.session.pk)]

    @property
    def log(self) -> str:
        """All events, as text."""
        return json.dumps(
            [one.to_json() for one in events.replay(self.session.pk, after=0)]
        )


def _who(person: Participant) -> dict[str, str]:
    return {"participant": str(person.public_id), "name": person.name}
