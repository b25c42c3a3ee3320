"""What arrived is given back sample for sample, where it is kept; else it is said."""

from __future__ import annotations

import io
import subprocess
import tracemalloc
import uuid
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]
from channels.db import database_sync_to_async
from django.test import AsyncClient
from numpy.typing import NDArray
from pytest_django.fixtures import Settings
from scene import NOON, a_session

from sessions import access, archive, finish, originals, recordings, recovery, spool
from sessions.archive import About, Excerpt
from sessions.audio import journal
from sessions.audio.frames import Frame
from sessions.audio.journal import Head
from sessions.models import Participant, Recording, State, Tier, VoiceSession
from sessions.originals import Original, Take
from sessions.storage import storage
from sessions.tracks import Track

pytestmark = pytest.mark.django_db(transaction=True)

SECOND = 48_000
Pcm = NDArray[np.int16]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DATA_DIR = tmp_path
    settings.STORAGE_DIR = tmp_path / "storage"
    settings.KEEP_ORIGINALS = True
    monkeypatch.setattr(finish, "ring", lambda pk: None)
    monkeypatch.setattr(recordings, "ring", lambda pk: None)


def noise(seconds: float, *, rate: int, seed: int) -> Pcm:
    """No two samples are foreseen: an MP3 could not give them back."""
    rng = np.random.default_rng(seed)
    return rng.integers(-9000, 9000, int(seconds * rate)).astype(np.int16)


def speak(
    session: VoiceSession, name: str, pcm: Pcm, *, at_s: float, rate: int
) -> Participant:
    """Somebody's journal, in frames of 20 ms; who is there already comes again."""
    person, _ = Participant.objects.get_or_create(
        session=session, key=name, defaults={"name": name}
    )
    folder = spool.new(
        session=session.public_id,
        participant=person.public_id,
        opened_at=recordings.moment(session, int(at_s * SECOND)),
    )
    began = NOON.isoformat()
    whose = Head(
        *(str(session.public_id), str(person.public_id), session.pk, person.pk),
        *(rate, began, began),
    )
    data = [journal.head(whose)]
    size = rate // 50
    for n in range(len(pcm) // size):
        place = int(at_s * SECOND) + n * SECOND // 50
        frame = Frame(pcm[n * size : (n + 1) * size], rate, place / SECOND)
        data += [journal.sound(n, frame), journal.placed(n, place, dropped=0)]
    folder.journal.write_bytes(b"".join(data))
    return person


def over(session: VoiceSession) -> None:
    """Nobody speaks any more; nothing is made of it yet."""
    VoiceSession.objects.filter(pk=session.pk).update(
        state=State.FINISHING, ended_at=recordings.moment(session, 20 * SECOND)
    )
    session.refresh_from_db()


def ended(session: VoiceSession) -> None:
    over(session)
    (done,) = recovery.recover(session.public_id)
    assert done.done == "ready"


ADA = noise(2.0, rate=16_000, seed=1)
ADA_AGAIN = noise(1.0, rate=16_000, seed=2)
BEN = noise(3.0, rate=48_000, seed=3)


@pytest.fixture
def talk() -> VoiceSession:
    """Ada came twice, at 16 kHz; Ben once, at 48."""
    session = a_session(State.ACTIVE, title="Planning")
    speak(session, "Ada", ADA, at_s=1.5, rate=16_000)
    speak(session, "Ada", ADA_AGAIN, at_s=7.25, rate=16_000)
    speak(session, "Ben", BEN, at_s=4.0, rate=48_000)
    return session


async def zipped(session: VoiceSession, query: str) -> bytes:
    headers = {"Authorization": f"Bearer {access.token_of(session)}"}
    url = f"/api/sessions/{session.public_id}/tracks.zip?{query}"
    response: Any = await AsyncClient().get(url, headers=headers)
    assert response.status_code == 200
    body = b"".join([piece async for piece in response.streaming_content])
    response.close()
    return body


def unzips(body: bytes, path: Path) -> None:
    path.write_bytes(body)
    subprocess.run(["unzip", "-tq", str(path)], check=True, capture_output=True)


def contents(body: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(body)) as found:
        return {name: found.read(name) for name in found.namelist()}


def heard(file: bytes) -> tuple[Pcm, int]:
    """By a reader that is not ours."""
    pcm, rate = soundfile.read(io.BytesIO(file), dtype="int16")
    return pcm, rate


def laid_out(*parts: tuple[float, Pcm], rate: int) -> Pcm:
    end = max(int(at_s * rate) + len(pcm) for at_s, pcm in parts)
    whole = np.zeros(end, np.int16)
    for at_s, pcm in parts:
        whole[int(at_s * rate) :][: len(pcm)] = pcm
    return whole


@pytest.mark.parametrize("suffix", ["flac", "wav"])
async def test_each_sample_is_given_back_at_its_place(
    talk: VoiceSession, suffix: str, tmp_path: Path
) -> None:
    await database_sync_to_async(ended)(talk)
    assert not spool.folders()
    body = await zipped(talk, f"format={suffix}")
    unzips(body, tmp_path / "tracks.zip")
    files = contents(body)
    ada, rate = heard(files[f"Ada.{suffix}"])
    assert rate == 16_000
    expected = laid_out((1.5, ADA), (7.25, ADA_AGAIN), rate=rate)
    np.testing.assert_array_equal(ada, expected)
    ben, rate = heard(files[f"Ben.{suffix}"])
    assert rate == 48_000
    np.testing.assert_array_equal(ben, laid_out((4.0, BEN), rate=rate))
    told = files["info.txt"].decode()
    assert "Lossless: each sample as it arrived, at 16000 Hz." in told
    assert "Lossless: each sample as it arrived, at 48000 Hz." in told


def test_journals_are_read_as_originals_are(talk: VoiceSession) -> None:
    for name in ("Ada", "Ben"):
        person = Participant.objects.get(name=name)
        for folder in spool.folders(talk.public_id):
            if folder.name.startswith(str(person.public_id)):
                Recording.objects.create(
                    session=talk,
                    participant=person,
                    tier=Tier.CHUNK,
                    connection=folder.name,
                    key=f"recordings/{uuid.uuid4()}",
                )
    found = originals.of_session(talk)
    ada = found[Participant.objects.get(name="Ada").public_id]
    expected = laid_out((1.5, ADA), (7.25, ADA_AGAIN), rate=16_000)
    with originals.opened(ada) as sound:
        stop = int(8.25 * SECOND)
        whole = np.concatenate(list(sound.blocks(0, stop)))
        part = np.concatenate(list(sound.blocks(2 * SECOND, 8 * SECOND)))
        assert len(whole) == sound.samples(0, stop)
    np.testing.assert_array_equal(whole, expected)
    np.testing.assert_array_equal(part, expected[32_000:128_000])


async def test_a_window_is_cut_at_the_sample(talk: VoiceSession) -> None:
    await database_sync_to_async(ended)(talk)
    body = await zipped(talk, "format=flac&start_ms=4100&end_ms=6000")
    ben, _ = heard(contents(body)["Ben.flac"])
    np.testing.assert_array_equal(ben, BEN[4_800:96_000])


async def test_what_is_not_kept_is_decoded_and_told(talk: VoiceSession) -> None:
    def without_originals() -> None:
        ended(talk)
        rows = Recording.objects.filter(session=talk, tier=Tier.ORIGINAL)
        recordings.forget(list(rows.filter(participant__name="Ben")))

    await database_sync_to_async(without_originals)()
    files = contents(await zipped(talk, "format=flac"))
    ben, rate = heard(files["Ben.flac"])
    assert (len(ben), rate) == (7 * SECOND, 48_000)
    told = files["info.txt"].decode()
    assert told.count("Decoded from MP3: what arrived is not kept") == 1
    assert told.count("Lossless: each sample") == 1


async def test_what_storage_has_lost_is_decoded_and_told(talk: VoiceSession) -> None:
    def lose() -> None:
        ended(talk)
        rows = Recording.objects.filter(session=talk, tier=Tier.ORIGINAL)
        storage().delete([row.key for row in rows])

    await database_sync_to_async(lose)()
    told = contents(await zipped(talk, "format=wav"))["info.txt"].decode()
    assert told.count("Decoded from MP3") == 2


async def test_mp3_says_nothing_of_samples(talk: VoiceSession) -> None:
    await database_sync_to_async(ended)(talk)
    told = contents(await zipped(talk, "format=mp3"))["info.txt"].decode()
    assert "Lossless" not in told
    assert "Decoded" not in told


def test_hours_of_it_take_no_more_memory_than_minutes(tmp_path: Path) -> None:
    """Two seconds, and behind them the silence of half an hour."""
    half_an_hour = 1800 * SECOND
    session = a_session(State.READY)
    person = speak(session, "Ada", ADA, at_s=0, rate=16_000)
    (folder,) = spool.folders(session.public_id)
    track = Track(person.public_id, "Ada", (), ((0, half_an_hour),))
    kept = Original(16_000, (Take(16_000, journal=folder.journal),))
    about = About(str(session.public_id), "Long", NOON, None)
    tracemalloc.start()
    size = 0
    for piece in archive.zipped(
        about, [Excerpt(track, 0, half_an_hour, kept)], suffix="flac"
    ):
        size += len(piece)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size > 10_000
    assert peak < 20_000_000
