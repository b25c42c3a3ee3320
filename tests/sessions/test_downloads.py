"""Tracks are given back: each on its own or all at once, whole or a window of them."""

from __future__ import annotations

import threading
import tracemalloc
import uuid
from pathlib import Path

import numpy as np
import pytest
from decoding import as_floats
from django.test import AsyncClient
from pytest_django.fixtures import Settings
from scene import NOON, a_session, a_user
from tracked import (
    SECOND,
    a_talk,
    contents,
    ended,
    get,
    in_db,
    sound,
    storage_file,
    track_of,
    truth,
)

from sessions import (
    archive,
    finish,
    mixing,
    recordings,
    spool,
    streaming,
    tracks,
)
from sessions.archive import About, Excerpt
from sessions.audio.formats import FORMATS
from sessions.models import Participant, Recording, State, Tier, VoiceSession
from sessions.storage import UnreachableError, storage
from sessions.streaming import Flow

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.DATA_DIR = tmp_path
    settings.STORAGE_DIR = tmp_path / "storage"
    settings.RECORDING_CHUNK_S = 1.0
    monkeypatch.setattr(finish, "ring", lambda pk: None)
    monkeypatch.setattr(recordings, "ring", lambda pk: None)
    return tmp_path


@pytest.fixture
def talk() -> VoiceSession:
    return a_talk()


async def test_a_track_begins_at_time_zero_and_ends_with_its_sound(
    talk: VoiceSession,
) -> None:
    await in_db(ended)(talk)
    ada = await in_db(track_of)(talk, "Ada")
    answer = await get(talk, f"{ada}.wav")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "audio/wav"
    assert 'filename="Ada.wav"' in answer.headers["Content-Disposition"]
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    heard = as_floats(answer.body)
    assert len(heard) == int(9.25 * SECOND)
    assert not heard[: int(1.4 * SECOND)].any()
    expected = await in_db(truth)(talk, "Ada", 0, len(heard))
    assert np.abs(heard - expected).max() < 0.501 / 32768


@pytest.mark.parametrize("suffix", FORMATS)
async def test_a_window_of_a_finished_session_in_every_format(
    talk: VoiceSession, suffix: str
) -> None:
    await in_db(ended)(talk)
    ben = await in_db(track_of)(talk, "Ben")
    answer = await get(talk, f"{ben}.{suffix}?start_ms=4321&end_ms=7000")
    assert answer.status == 200
    heard = as_floats(answer.body)
    start, stop = 4321 * 48, 7000 * 48
    expected = await in_db(truth)(talk, "Ben", start, stop)
    assert len(heard) == stop - start
    if suffix == "opus":
        assert np.corrcoef(heard, expected)[0, 1] > 0.8
    else:
        assert np.abs(heard - expected).max() < 2 / 32768


async def test_a_window_of_a_running_session_reaches_into_the_open_chunk(
    talk: VoiceSession,
) -> None:
    ben = await in_db(track_of)(talk, "Ben")
    answer = await get(talk, f"{ben}.flac?start_ms=5500&end_ms=8300")
    heard = as_floats(answer.body)
    assert len(heard) == 2800 * 48
    said = np.repeat(sound(4.4, seed=4), 3)[1500 * 48 :][: len(heard)] / 32768
    known = len(heard) - 48 * 60
    assert np.corrcoef(heard[:known], said[:known])[0, 1] > 0.9
    behind = await get(talk, f"{ben}.wav?start_ms=15000&end_ms=16000")
    assert not as_floats(behind.body).any()
    assert len(as_floats(behind.body)) == SECOND


async def test_not_aligned_it_begins_with_its_own_sound(talk: VoiceSession) -> None:
    await in_db(ended)(talk)
    ben = await in_db(track_of)(talk, "Ben")
    heard = as_floats((await get(talk, f"{ben}.wav?align=false")).body)
    # From the frame of 24 ms on that holds its first sample.
    assert len(heard) == int(8.4 * SECOND) - 4 * SECOND // 1152 * 1152
    assert np.abs(heard[:2400]).max() > 0.01


async def test_stored_sound_is_fetched_as_far_as_it_is_needed(
    talk: VoiceSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    await in_db(ended)(talk)
    assert not spool.folders()
    read: list[int] = []
    kept = storage()

    class Watched:
        def read(self, key: str, *, start: int, stop: int) -> bytes:
            read.append(stop - start)
            return kept.read(key, start=start, stop=stop)

    monkeypatch.setattr(tracks, "storage", Watched)
    ben = await in_db(track_of)(talk, "Ben")
    answer = await get(talk, f"{ben}.mp3?start_ms=5000&end_ms=6000")
    assert len(as_floats(answer.body)) == SECOND
    assert sum(read) <= 45 * 192


async def test_chunks_that_only_storage_has_are_heard(talk: VoiceSession) -> None:
    def stored_only() -> None:
        for folder in spool.folders(talk.public_id):
            person = Participant.objects.get(public_id=folder.name[:36])
            for first, path in folder.chunks():
                frames = path.stat().st_size // 192
                recordings.sealed(
                    recordings.Chunk(
                        talk.pk, person.pk, folder.name, first, frames, path
                    )
                )
        mixing.store(talk.pk)
        for folder in spool.folders(talk.public_id):
            folder.drop()

    before = await in_db(truth)(talk, "Ben", 4 * SECOND, 6 * SECOND)
    await in_db(stored_only)()
    after = await in_db(truth)(talk, "Ben", 4 * SECOND, 6 * SECOND)
    assert np.abs(before - after).max() < 1e-6


def lost(tier: Tier, session: VoiceSession) -> None:
    rows = Recording.objects.filter(session=session, tier=tier)
    storage().delete([row.key for row in rows])


async def test_a_fragment_that_storage_lost_is_read_from_its_chunks(
    talk: VoiceSession,
) -> None:
    await in_db(ended)(talk)
    ben = await in_db(track_of)(talk, "Ben")

    def keep_as_chunk_too() -> None:
        row = Recording.objects.get(tier=Tier.FRAGMENT, participant__name="Ben")
        recordings.forget(recordings.chunks_of(talk.pk, row.connection))
        path = storage_file(row.key)
        chunk = path.with_name("chunk")
        chunk.write_bytes(path.read_bytes()[192:])
        frames = row.duration // 1152
        assert row.participant_id is not None
        made = recordings.sealed(
            recordings.Chunk(
                *(talk.pk, row.participant_id, row.connection),
                *(row.start // 1152, frames, chunk),
            )
        )
        stored = storage().put(made.key, chunk, content_type="audio/mpeg")
        recordings.stored(made, stored)

    await in_db(keep_as_chunk_too)()
    window = f"{ben}.wav?start_ms=5000&end_ms=6000"
    before = as_floats((await get(talk, window)).body)
    await in_db(lost)(Tier.FRAGMENT, talk)
    after = await get(talk, window)
    assert after.headers["X-Recording-Faults"] == tracks.FROM_CHUNKS
    assert np.abs(as_floats(after.body) - before).max() < 2 / 32768
    await in_db(lost)(Tier.CHUNK, talk)
    gone = await get(talk, window)
    assert (gone.status, gone.code) == (404, "lost")


async def test_what_lies_on_another_host_is_asked_for_later(talk: VoiceSession) -> None:
    def elsewhere() -> None:
        Recording.objects.create(
            session=talk,
            participant=talk.participants.get(name="Ben"),
            tier=Tier.CHUNK,
            connection="elsewhere",
            key="elsewhere",
            start=1152 * 400,
            duration=1152 * 40,
        )

    await in_db(elsewhere)()
    ben = await in_db(track_of)(talk, "Ben")
    answer = await get(talk, f"{ben}.wav")
    assert (answer.status, answer.code) == (503, "not_here_yet")
    assert (await get(talk, f"{ben}.wav?end_ms=9000")).status == 200


async def test_a_storage_that_is_away_is_told(
    talk: VoiceSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    await in_db(ended)(talk)

    class Away:
        def read(self, key: str, *, start: int, stop: int) -> bytes:
            raise UnreachableError("time-out")

    monkeypatch.setattr(tracks, "storage", Away)
    ben = await in_db(track_of)(talk, "Ben")
    answer = await get(talk, f"{ben}.wav")
    assert (answer.status, answer.code) == (503, "storage_unreachable")
    # In an archive it is told, and the archive is whole.
    told = contents(await get(talk, "tracks.zip"))["info.txt"].decode()
    assert told.count("This file is not complete. The storage does not answer") == 2


@pytest.mark.parametrize("suffix", FORMATS)
async def test_all_tracks_come_in_step_with_a_text_about_them(
    talk: VoiceSession, suffix: str
) -> None:
    await in_db(ended)(talk)
    files = contents(await get(talk, f"tracks.zip?format={suffix}"))
    assert list(files) == [f"Ada.{suffix}", f"Ben.{suffix}", "info.txt"]
    for name in ("Ada", "Ben"):
        heard = as_floats(files[f"{name}.{suffix}"])
        expected = await in_db(truth)(talk, name, 0, len(heard))
        assert np.corrcoef(heard, expected)[0, 1] > 0.8
    text = files["info.txt"].decode()
    # A recording begins with the frame of 24 ms that holds its first sample.
    assert "Recorded from 0:00:01.488 to 0:00:05.000." in text
    assert "Recorded from 0:00:07.248 to 0:00:09.250." in text
    assert "Missing in between, 0.50 s in all" in text
    assert "    0:00:03.000 to 0:00:03.500\n" in text
    assert text.count("Nothing is missing in between.") == 1


async def test_a_window_of_all_tracks_of_a_running_session(talk: VoiceSession) -> None:
    answer = await get(talk, "tracks.zip?format=wav&start_ms=4500&end_ms=5500")
    files = contents(answer)
    assert {len(as_floats(files[f"{name}.wav"])) for name in ("Ada", "Ben")} == {SECOND}
    assert "it still ran when this was made" in files["info.txt"].decode()


async def test_an_unreadable_chunk_is_silent_and_told(talk: VoiceSession) -> None:
    folder = next(f for f in spool.folders(talk.public_id) if len(f.chunks()) > 3)
    whole = await get(talk, f"tracks/{folder.name[:36]}.mp3")
    assert "X-Recording-Faults" not in whole.headers
    folder.chunks()[1][1].write_bytes(b"not a frame of ours " * 400)
    text = contents(await get(talk, "tracks.zip"))["info.txt"].decode()
    assert text.count(tracks.UNREADABLE) == 1
    hurt = await get(talk, f"tracks/{folder.name[:36]}.mp3")
    assert hurt.headers["X-Recording-Faults"] == tracks.UNREADABLE
    assert len(hurt.body) == len(whole.body)


def test_names_become_files_and_stay_apart() -> None:
    hostile = ["../../etc/passwd", "a\0b\nc", "CON", "aux.txt", " . ", "", "x" * 300]
    names = [archive.safe_name(name) for name in hostile]
    assert names[:6] == [
        *("_.._etc_passwd", "a b c", "Unknown CON", "Unknown aux.txt"),
        *("Unknown", "Unknown"),
    ]
    assert len(names[6]) == archive.NAME_MAX
    assert archive.unique(["Ada", "ada", "Info", "Ada (2)", "Ada"]) == [
        *("Ada", "ada (2)", "Info (2)", "Ada (2) (2)", "Ada (3)"),
    ]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        (".wav?start_ms=-1", 422, "invalid"),
        (".wav?start_ms=a", 422, "invalid"),
        (".wav?start_ms=5000&end_ms=5000", 422, "bad_window"),
        (".wav?start_ms=5000&end_ms=4000", 422, "bad_window"),
        (".wav?start_ms=99999999", 422, "bad_window"),
        (".wav?end_ms=99999999999999999999", 422, "invalid"),
        (".ogg", 404, "unknown_format"),
        (".wav.exe", 404, "not_found"),
    ],
)
async def test_bad_requests_are_told(
    talk: VoiceSession, query: str, status: int, code: str
) -> None:
    ben = await in_db(track_of)(talk, "Ben")
    answer = await get(talk, f"{ben}{query}")
    if query == ".wav.exe":
        code = "unknown_format"
    assert (answer.status, answer.code) == (status, code)


async def test_who_is_not_there_and_what_is_not_kept(talk: VoiceSession) -> None:
    strange = await get(talk, f"tracks/{uuid.uuid4()}.wav")
    assert (strange.status, strange.code) == (404, "not_found")
    odd = await get(talk, "tracks/%00'--.wav")
    assert (odd.status, odd.code) == (404, "not_found")
    silent = await in_db(talk.participants.create)(key="c", name="Cy")
    mute = await get(talk, f"tracks/{silent.public_id}.wav")
    assert (mute.status, mute.code) == (404, "not_recorded")
    assert (await get(talk, "tracks.zip?format=exe")).code == "unknown_format"
    secret = await in_db(a_session)(State.ACTIVE, record=False)
    for path in ("tracks.zip", f"tracks/{silent.public_id}.wav"):
        answer = await get(secret, path)
        assert (answer.status, answer.code) == (404, "not_recorded")
    empty = await in_db(a_session)(State.ACTIVE)
    assert (await get(empty, "tracks.zip")).code == "not_recorded"


async def test_a_stranger_gets_nothing(talk: VoiceSession) -> None:
    for path in ("tracks.zip", await in_db(track_of)(talk, "Ben") + ".wav"):
        answer = await get(talk, path, token="wrong")
        assert (answer.status, answer.code) == (404, "not_found")
    other = await in_db(a_user)("stranger")
    client = AsyncClient()
    await client.aforce_login(other)
    url = f"/api/sessions/{talk.public_id}/tracks.zip"
    assert (await client.get(url)).status_code == 404


async def test_when_too_many_are_at_it_one_is_told_to_come_again(
    talk: VoiceSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "_places", threading.BoundedSemaphore(1))
    held = Flow(piece for piece in [b"x"])
    answer = await get(talk, "tracks.zip")
    assert (answer.status, answer.code) == (503, "busy")
    assert int(answer.headers["Retry-After"]) > 0
    held.close()
    for _ in range(3):
        assert (await get(talk, "tracks.zip")).status == 200


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_hour_takes_no_more_memory_than_its_pieces(
    talk: VoiceSession, suffix: str
) -> None:
    """An hour's silence behind what was said; numpy's arrays are counted, too."""
    found = tracks.of_session(talk)
    hour = 3600 * SECOND
    if suffix in ("opus", "flac"):
        hour //= 20  # their silence costs what speech does
    excerpts = [Excerpt(track, 0, hour) for track in found]
    about = About(str(talk.public_id), "", NOON, None)
    tracemalloc.start()
    size = sum(len(p) for p in archive.zipped(about, excerpts, suffix=suffix))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"{suffix}: {size / 1e6:.1f} MB at a peak of {peak / 1e6:.1f} MB")
    assert peak < 16e6
