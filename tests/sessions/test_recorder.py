"""The recorder: what a connection hears is kept, whatever dies or fails meanwhile."""

from __future__ import annotations

import asyncio
import errno
import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from channels.db import database_sync_to_async
from numpy.typing import NDArray
from pytest_django.fixtures import Settings
from scene import Clock, an_open_session

from sessions import mixing, participants, recordings, spool
from sessions.audio.frames import Frame, Placed
from sessions.audio.journal import Journal
from sessions.capture import diary, recorder
from sessions.capture.capture import Capture
from sessions.capture.recorder import Recorder, record
from sessions.capture.sinks import Track
from sessions.models import Participant, Recording, Tier, VoiceSession

pytestmark = pytest.mark.django_db(transaction=True)

in_db = database_sync_to_async
FRAME = 320


@pytest.fixture(autouse=True)
def here(tmp_path: Path, settings: Settings) -> Path:
    settings.DATA_DIR = tmp_path
    settings.STORAGE_DIR = tmp_path / "storage"
    settings.RECORDING_CHUNK_S = 1.0
    return tmp_path


@pytest.fixture(autouse=True)
def rung(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rings are written down, not sent."""
    rings: list[int] = []
    monkeypatch.setattr(recordings, "ring", rings.append)
    return rings


class Speaker:
    """Somebody whose connection is recorded, on a clock of its own."""

    def __init__(self, session: VoiceSession, person: Participant) -> None:
        track = Track(
            session.pk,
            session.public_id,
            person.pk,
            person.public_id,
            person.name,
            started_at=session.started_at,
            recorded=session.record,
        )
        kept = record(track)
        self.recorder = kept
        self.clock = Clock(now=500.0)
        self.capture = Capture(
            track,
            zero_s=497.0,
            rate=16_000,
            sinks=[kept] if kept else [],
            clock=self.clock,
        )

    def says(self, pcm: NDArray[np.int16]) -> None:
        for at in range(0, len(pcm), FRAME):
            self.clock.passes(0.02)
            self.capture.offer(pcm[at : at + FRAME].tobytes())


async def a_speaker(**fields: Any) -> Speaker:
    opened = await in_db(an_open_session)(**fields)
    person = await in_db(participants.join)(
        opened.session.pk, key="ada", name="Ada", connection="one"
    )
    return Speaker(opened.session, person)


def speech(seconds: float) -> NDArray[np.int16]:
    rng = np.random.default_rng(4)
    return rng.integers(-6000, 6000, int(seconds * 16_000)).astype("<i2")


def journaled(folder: spool.Folder) -> NDArray[np.int16]:
    pieces = [p.pcm for p in Journal(io.BytesIO(folder.journal.read_bytes())).placed()]
    return np.concatenate(pieces)


def rows(tier: Tier) -> list[Recording]:
    return list(Recording.objects.filter(tier=tier).order_by("start"))


async def test_a_connection_becomes_chunks_a_fragment_and_a_master() -> None:
    speaker = await a_speaker()
    speaker.says(speech(3.5))
    await speaker.capture.close()
    chunks = await in_db(rows)(Tier.CHUNK)
    assert len(chunks) >= 4
    for before, after in itertools.pairwise(chunks):
        assert before.end == after.start
    session_id = speaker.capture.track.session_id
    assert await in_db(mixing.fragments)(session_id)
    (fragment,) = await in_db(rows)(Tier.FRAGMENT)
    assert fragment.state == "stored"
    assert fragment.start == chunks[0].start
    assert speaker.capture.origin is not None
    assert fragment.end == speaker.capture.origin + int(3.5 * 48_000)
    assert await in_db(mixing.master)(session_id)
    (master,) = await in_db(rows)(Tier.MASTER)
    assert master.state == "stored"
    assert master.duration == fragment.end
    assert await in_db(mixing.clear)(session_id)
    assert not spool.folders()
    kept = await in_db(recordings.of_session)(session_id)
    assert {row.state for row in kept} == {"stored"}


async def test_every_received_sample_is_on_disk_at_once() -> None:
    """As a killed process would leave it: nothing is closed, nothing was waited for."""
    speaker = await a_speaker()
    said = speech(2.0)
    speaker.says(said)
    (folder,) = spool.folders()
    assert np.array_equal(journaled(folder), said)
    await speaker.capture.close()


async def test_packets_that_waited_for_their_turn_are_one_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writes: list[bytes] = []
    write = diary.write

    def wrote(descriptor: int, data: bytes) -> int:
        writes.append(data)
        return write(descriptor, data)

    speaker = await a_speaker()
    monkeypatch.setattr(diary, "write", wrote)
    assert isinstance(speaker.recorder, Recorder)
    said = speech(0.6)
    for number, pcm in enumerate(np.split(said, 30)):
        speaker.recorder.arrive(Frame(pcm, 16_000, number / 50))
        speaker.recorder.hear(Placed(number * 960, pcm, 16_000))
        if number % 10 == 9:
            await asyncio.sleep(0)
    assert len(writes) == 3
    (folder,) = spool.folders()
    assert np.array_equal(journaled(folder), said)
    await speaker.capture.close()


async def test_what_is_called_settled_is_on_disk() -> None:
    """What a browser is told it need not send again."""
    speaker = await a_speaker()
    said = speech(2.0)
    speaker.says(said)
    assert isinstance(speaker.recorder, Recorder)
    assert speaker.recorder.settled()
    (folder,) = spool.folders()
    assert np.array_equal(journaled(folder), said)
    await speaker.capture.close()


async def test_whoever_closes_at_once_has_it_written_down() -> None:
    speaker = await a_speaker()
    said = speech(2.0)
    speaker.says(said)
    await speaker.capture.close()
    (folder,) = spool.folders()
    assert np.array_equal(journaled(folder), said)


async def test_nothing_is_kept_where_nothing_may_be(here: Path) -> None:
    speaker = await a_speaker(record=False)
    speaker.says(speech(1.0))
    await speaker.capture.close()
    assert speaker.recorder is None
    assert not (here / "spool").exists()


async def test_a_broken_encoder_costs_no_sound() -> None:
    """The chunks are made from the journal, to what they would have been."""
    whole = await a_speaker()
    whole.says(speech(3.0))
    await whole.capture.close()
    (folder,) = spool.folders()
    before = [path.read_bytes() for _, path in folder.chunks()]
    for _, path in folder.chunks()[1:]:
        path.unlink()
    folder.chunks()[0][1].rename(folder.path / "0000000000.part")
    assert await in_db(mixing.fragments)(whole.capture.track.session_id)
    assert [path.read_bytes() for _, path in folder.chunks()] == before


async def test_what_cannot_be_encoded_in_time_is_encoded_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recorder, "BEHIND_MAX_S", -1.0)
    speaker = await a_speaker()
    speaker.says(speech(3.0))
    await speaker.capture.close()
    (folder,) = spool.folders()
    assert not folder.chunks()
    session_id = speaker.capture.track.session_id
    assert await in_db(mixing.fragments)(session_id)
    (fragment,) = await in_db(rows)(Tier.FRAGMENT)
    assert fragment.start == speaker.capture.origin
    assert fragment.end == fragment.start + 3 * 48_000


async def test_a_connection_that_still_records_is_left_alone() -> None:
    speaker = await a_speaker()
    speaker.says(speech(1.0))
    session_id = speaker.capture.track.session_id
    assert not await in_db(mixing.fragments)(session_id)
    await speaker.capture.close()
    assert await in_db(mixing.fragments)(session_id)


async def test_a_full_disk_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    speaker = await a_speaker()
    speaker.says(speech(1.0))
    is_full = True
    write = diary.write

    def writes(descriptor: int, data: bytes) -> int:
        if is_full:
            raise OSError(errno.ENOSPC, "no space left")
        return write(descriptor, data)

    monkeypatch.setattr(diary, "write", writes)
    speaker.says(speech(1.0))
    assert isinstance(speaker.recorder, Recorder)
    assert speaker.recorder.settled() == 0
    closing = asyncio.create_task(speaker.capture.close())
    await asyncio.sleep(0.6)
    assert not closing.done()
    is_full = False
    await closing
    (folder,) = spool.folders()
    assert len(journaled(folder)) == 2 * 16_000
