"""Sessions come back from storage alone."""

from __future__ import annotations

import uuid
from datetime import timedelta
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from decoding import as_floats
from django.core.management import call_command
from numpy.typing import NDArray
from pytest_django.fixtures import Settings
from scene import NOON

from sessions import keys, recordings, restoring
from sessions.audio.encode import TrackEncoder
from sessions.models import Participant, Recording, State, Tier, VoiceSession
from sessions.storage import storage

pytestmark = pytest.mark.django_db

SECOND = 48_000
CHUNK_FRAMES = 125  # 3 s
SESSION = uuid.uuid4()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.DATA_DIR = tmp_path / "data"
    settings.STORAGE_DIR = tmp_path / "storage"
    monkeypatch.setattr("sessions.finish.STEPS", STEPS)
    return tmp_path


STEPS = ("sessions.mixing.fragments", "sessions.mixing.master", "sessions.mixing.clear")


def bursts(*at: int, samples: int) -> NDArray[np.int16]:
    """300 ms of noise each."""
    sound = np.zeros(samples, np.int16)
    noise = np.random.default_rng(1).integers(-9_000, 9_000, 14_400)
    for position in at:
        sound[position : position + len(noise)] = noise
    return sound


def stored_chunks(here: Path, person: uuid.UUID, sound: NDArray[np.int16]) -> None:
    """A person's track from time zero on, as its chunks lie in storage."""
    encoder = TrackEncoder(first_frame=0)
    data = encoder.put(0, sound) + encoder.finish()
    for number, at in enumerate(range(0, len(data), CHUNK_FRAMES * 192)):
        path = here / "chunk"
        path.write_bytes(data[at : at + CHUNK_FRAMES * 192])
        started_at = NOON + timedelta(seconds=3 * number)
        key = keys.chunk_key(SESSION, participant=person, started_at=started_at)
        storage().put(key, path, content_type="audio/mpeg")


def decoded(key: str) -> NDArray[np.float64]:
    found = storage().stat(key)
    assert found is not None
    data = storage().read(key, start=0, stop=found.size)
    return as_floats(data).astype(np.float64)


def onsets(sound: NDArray[np.float64]) -> list[int]:
    loud = np.flatnonzero(np.abs(sound) > 0.25 * np.abs(sound).max())
    return [int(loud[0]), *loud[1:][np.diff(loud) > SECOND // 10].tolist()]


def test_chunks_without_a_session_become_one_again(here: Path) -> None:
    ada, bob = uuid.uuid4(), uuid.uuid4()
    stored_chunks(here, ada, bursts(SECOND, 5 * SECOND, samples=8 * SECOND))
    stored_chunks(here, bob, bursts(2 * SECOND, 6 * SECOND, samples=8 * SECOND))
    (told,) = restoring.restore(dry_run=True)
    assert (told.public_id, told.done) == (str(SESSION), "would be restored")
    assert not VoiceSession.objects.exists()

    said = StringIO()
    call_command("recover", "--all", stdout=said)
    assert said.getvalue() == f"{SESSION}: 6 files in storage: ready\n"
    session = VoiceSession.objects.get()
    assert (session.public_id, session.state) == (SESSION, State.READY)
    assert session.started_at == NOON
    assert {person.public_id for person in Participant.objects.all()} == {ada, bob}
    fragments = recordings.of_tier(session.pk, Tier.FRAGMENT)
    assert len(fragments) == 2
    (master,) = recordings.of_tier(session.pk, Tier.MASTER)
    found = onsets(decoded(master.key))
    wanted = [second * SECOND for second in (1, 2, 5, 6)]
    assert np.abs(np.subtract(found, wanted)).max() < SECOND // 1000
    assert restoring.restore() == []


def test_a_fragment_stands_where_its_first_chunk_does(here: Path) -> None:
    ada = uuid.uuid4()
    stored_chunks(here, ada, bursts(SECOND, samples=4 * SECOND))
    restoring.restore()
    (made,) = Recording.objects.filter(tier=Tier.FRAGMENT)
    (master,) = Recording.objects.filter(tier=Tier.MASTER)
    whole = decoded(master.key)
    opened_at = NOON + timedelta(milliseconds=400)
    key = keys.fragment_key(SESSION, participant=ada, started_at=opened_at)
    path = here / "fragment"
    storage().get(made.key, path)
    storage().put(key, path, content_type="audio/mpeg")
    storage().delete([made.key, master.key])
    VoiceSession.objects.all().delete()

    (done,) = restoring.restore()
    assert done.done == "ready"
    fragment = Recording.objects.get(tier=Tier.FRAGMENT)
    assert (fragment.key, fragment.start) == (key, 0)
    (master,) = Recording.objects.filter(tier=Tier.MASTER)
    again = decoded(master.key)[: len(whole)]
    assert np.abs(again - whole[: len(again)]).max() < 0.01
