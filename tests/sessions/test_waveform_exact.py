"""A fragment's waveform and loudness: against the sound that was sent, and FFmpeg."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from babble import babble, laid_out
from django.conf import settings as configured
from numpy.typing import NDArray
from pytest_django.fixtures import Settings
from scene import NOON, a_session

from sessions import mixing, recordings, spool
from sessions.audio import journal
from sessions.audio.frames import Frame, Placed
from sessions.audio.journal import Head
from sessions.audio.loudness import integrated
from sessions.audio.meter import Metered
from sessions.audio.peaks import PIXEL
from sessions.capture.tape import Sealed, Tape
from sessions.models import Participant, Recording, State, Tier, VoiceSession
from sessions.recordings import Chunk

pytestmark = pytest.mark.django_db

SECOND = 48_000
STEP = 960
SAMPLES = 14 * SECOND


@pytest.fixture(autouse=True)
def here(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DATA_DIR = tmp_path
    settings.STORAGE_DIR = tmp_path / "storage"
    settings.RECORDING_CHUNK_S = 2.0
    monkeypatch.setattr(recordings, "ring", lambda pk: None)


@pytest.fixture
def session() -> VoiceSession:
    return a_session(State.ACTIVE, started_at=NOON)


def spoken() -> list[tuple[int, NDArray[np.int16]]]:
    """Quiet talk at 48 kHz from 1.26 s on, with a pause across a chunk's border."""
    voice = (babble(9 * SECOND, seed=3) * 0.3).astype(np.int16)
    return [(63 * STEP, voice[: 4 * SECOND]), (7 * SECOND, voice[4 * SECOND :])]


def recorded(session: VoiceSession, *, noted: bool) -> spool.Folder:
    """Somebody talks, and their process is killed; `noted`: the rows of the sealed
    chunks were written before."""
    person = Participant.objects.create(session=session, key="ada", name="Ada")
    folder = spool.new(
        session=session.public_id, participant=person.public_id, opened_at=NOON
    )
    begun = NOON.isoformat()
    ids = str(session.public_id), str(person.public_id), session.pk, person.pk
    data = [journal.head(Head(*ids, SECOND, begun, begun))]
    tape = Tape(folder, chunk_s=2.0)
    sealed: list[Sealed] = []
    pieces = [
        (at + begin, pcm[begin : begin + STEP])
        for at, pcm in spoken()
        for begin in range(0, len(pcm), STEP)
    ]
    for number, (at, pcm) in enumerate(pieces):
        data.append(journal.sound(number, Frame(pcm, SECOND, at / SECOND)))
        data.append(journal.placed(number, at, dropped=0))
        sealed += tape.put(Placed(at, pcm, SECOND))
    tape.close()
    folder.journal.write_bytes(b"".join(data))
    for one in sealed if noted else []:
        whole = one.first_frame, one.frames, one.path, one.metered
        recordings.sealed(Chunk(session.pk, person.pk, folder.name, *whole))
    return folder


def fragment_of(session: VoiceSession) -> Recording:
    assert mixing.fragments(session.pk)
    return Recording.objects.get(session=session, tier=Tier.FRAGMENT)


def metered(row: Recording) -> Metered:
    found = recordings.waveform(row.session_id, row.pk)
    assert found is not None
    return found


def by_ffmpeg(row: Recording) -> float:
    file = Path(configured.STORAGE_DIR) / row.key
    said = subprocess.run(
        ["ffmpeg", "-nostats", "-i", file, "-af", "ebur128", "-f", "null", "-"],
        capture_output=True,
        check=True,
        text=True,
    ).stderr
    return float(re.findall(r"I: +(-[\d.]+) LUFS", said)[-1])


@pytest.mark.parametrize("noted", [True, False])
def test_a_fragment_shows_what_was_said_whatever_the_crash_left(
    session: VoiceSession, *, noted: bool
) -> None:
    recorded(session, noted=noted)
    row = fragment_of(session)
    found = metered(row).peaks
    sheet = laid_out(spoken(), SAMPLES)
    first, last = row.start // PIXEL, row.end // PIXEL
    pixels = sheet[first * PIXEL : last * PIXEL].reshape(-1, PIXEL)
    truth = np.stack([pixels.min(axis=1) >> 8, pixels.max(axis=1) >> 8], axis=1)
    assert np.array_equal(found[: last - first], truth)


def test_every_chunk_that_is_noted_has_its_waveform_in_the_end(
    session: VoiceSession,
) -> None:
    folder = recorded(session, noted=True)
    kept = {
        row.start: metered(row).peak_bytes
        for row in recordings.chunks_of(session.pk, folder.name)
    }
    Recording.objects.filter(session=session).delete()
    mixing.store(session.pk)  # it notes what is sealed
    fragment_of(session)
    again = {
        row.start: metered(row).peak_bytes
        for row in recordings.chunks_of(session.pk, folder.name)
    }
    assert kept.items() <= again.items()


def test_a_fragments_loudness_is_what_ffmpeg_measures_of_it(
    session: VoiceSession,
) -> None:
    recorded(session, noted=True)
    row = fragment_of(session)
    heard = by_ffmpeg(row)
    assert row.loudness_lufs == pytest.approx(heard, abs=0.3)
    before = integrated(metered(row).energies)
    assert before is not None
    assert before < heard - 3  # talk this quiet was made louder
