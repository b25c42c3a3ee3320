"""Sessions in which people talk and are recorded, and what downloads give back of them:
for the tests of tracks."""

from __future__ import annotations

import io
import uuid
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from channels.db import database_sync_to_async
from django.conf import settings
from django.test import AsyncClient
from django.utils import timezone
from numpy.typing import NDArray
from scene import NOON, a_session

from sessions import access, recordings, recovery, spool, tracks
from sessions.audio import journal
from sessions.audio.frames import Frame, Placed
from sessions.audio.journal import Head
from sessions.capture.tape import Tape
from sessions.models import Participant, State, VoiceSession

in_db = database_sync_to_async
SECOND = 48_000


def sound(seconds: float, *, seed: int = 2) -> NDArray[np.int16]:
    """Smooth noise at 16 kHz, in bursts: no two places are alike."""
    rng = np.random.default_rng(seed)
    noise = np.convolve(rng.normal(0, 1, int(seconds * 16_000)), np.hanning(9), "same")
    return (np.clip(noise, -6, 6) * 2_000).astype(np.int16)


def speak(
    session: VoiceSession,
    name: str,
    *,
    at_s: float,
    seconds: float,
    person: Participant | None = None,
    hole_s: float = 0.0,
    seed: int = 2,
) -> Participant:
    """Somebody talks, with a hole in the middle, and their process is killed: journal,
    sealed chunks and the open one are left."""
    if person is None:
        key = uuid.uuid4().hex
        person = Participant.objects.create(session=session, key=key, name=name)
    folder = spool.new(
        session=session.public_id,
        participant=person.public_id,
        opened_at=recordings.moment(session, int(at_s * SECOND)),
    )
    started = NOON.isoformat()
    whose = Head(
        *(str(session.public_id), str(person.public_id), session.pk, person.pk),
        *(16_000, started, started),
    )
    data = [journal.head(whose)]
    tape = Tape(folder, chunk_s=1.0)
    pcm = sound(seconds, seed=seed)
    for n in range(len(pcm) // 320):
        place = int(at_s * SECOND) + n * 960
        place += int(hole_s * SECOND) if n * 640 >= len(pcm) else 0
        frame = pcm[n * 320 : (n + 1) * 320]
        data.append(journal.sound(n, Frame(frame, 16_000, place / SECOND)))
        data.append(journal.placed(n, place, dropped=0))
        tape.put(Placed(place, frame, 16_000))
    tape.close()
    folder.journal.write_bytes(b"".join(data))
    return person


def ended(session: VoiceSession) -> None:
    VoiceSession.objects.filter(pk=session.pk).update(
        state=State.FINISHING, ended_at=recordings.moment(session, 20 * SECOND)
    )
    (done,) = recovery.recover(session.public_id)
    assert done.done == "ready"


def truth(session: VoiceSession, name: str, start: int, stop: int) -> Any:
    session.refresh_from_db()
    (track,) = [one for one in tracks.of_session(session) if one.name == name]
    with tracks.opened(track, start=start, stop=stop) as opened:
        assert opened.faults == ()
        return opened.reader.window(start, stop)


def storage_file(key: str) -> Path:
    """Where the local storage keeps an object."""
    return Path(settings.STORAGE_DIR) / key


class Answer:
    """What came back, whole."""

    def __init__(self, response: Any, body: bytes) -> None:
        self.status, self.headers, self.body = response.status_code, response, body
        self.code = response.json()["code"] if self.status >= 400 else ""


async def get(session: VoiceSession, path: str, *, token: str | None = None) -> Answer:
    token = access.token_of(session) if token is None else token
    url = f"/api/sessions/{session.public_id}/{path}"
    headers = {"Authorization": f"Bearer {token}"}
    response: Any = await AsyncClient().get(url, headers=headers)
    if not response.streaming:
        return Answer(response, response.content)
    body = b"".join([piece async for piece in response.streaming_content])
    response.close()
    return Answer(response, body)


def a_talk() -> VoiceSession:
    """A session that runs: Ada has spoken twice, Ben once."""
    session = a_session(State.ACTIVE, started_at=timezone.now() - timedelta(seconds=20))
    ada = speak(session, "Ada", at_s=1.5, seconds=3, hole_s=0.5)
    speak(session, "Ada", at_s=7.25, seconds=2, person=ada, seed=3)
    speak(session, "Ben", at_s=4.0, seconds=4.4, seed=4)
    return session


def track_of(session: VoiceSession, name: str) -> str:
    return f"tracks/{session.participants.get(name=name).public_id}"


def contents(answer: Answer) -> dict[str, bytes]:
    assert answer.status == 200
    with zipfile.ZipFile(io.BytesIO(answer.body)) as found:
        assert found.testzip() is None
        return {name: found.read(name) for name in found.namelist()}
