"""The sound of two who are one person: one track, unless they sounded at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from decoding import as_floats
from pytest_django.fixtures import Settings
from scene import a_user
from tracked import SECOND, a_talk, contents, ended, get, in_db, speak, track_of, truth

from sessions import finish, participants, recordings, shares
from sessions.models import Participant, VoiceSession

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


def merged(session: VoiceSession, one: Participant, into: str) -> None:
    head = session.participants.get(name=into)
    by = a_user(f"owner {one.name}")
    participants.merge(session, one.public_id, into=head.public_id, by=by)


async def test_who_came_back_as_somebody_else_is_one_track_once_merged(
    talk: VoiceSession,
) -> None:
    guest = await in_db(speak)(talk, "Guest", at_s=12.0, seconds=2, seed=5)
    await in_db(ended)(talk)
    second = await in_db(truth)(talk, "Guest", 0, 14 * SECOND)
    first = await in_db(truth)(talk, "Ada", 0, 14 * SECOND)
    ada = await in_db(track_of)(talk, "Ada")
    await in_db(merged)(talk, guest, "Ada")
    heard = as_floats((await get(talk, f"{ada}.wav")).body)
    assert len(heard) == 14 * SECOND
    assert np.abs(heard - (first + second)[: len(heard)]).max() < 0.501 / 32768
    # Their own part is still there by itself.
    own = as_floats((await get(talk, f"tracks/{guest.public_id}.wav")).body)
    assert not own[: 11 * SECOND].any()
    files = contents(await get(talk, "tracks.zip?format=wav"))
    assert set(files) == {"Ada.wav", "Ben.wav", "info.txt"}


async def test_two_who_sounded_at_once_keep_a_track_each(talk: VoiceSession) -> None:
    ben = await in_db(talk.participants.get)(name="Ben")
    await in_db(ended)(talk)
    alone = await in_db(truth)(talk, "Ada", 0, 9 * SECOND)
    ada = await in_db(track_of)(talk, "Ada")
    await in_db(merged)(talk, ben, "Ada")
    heard = as_floats((await get(talk, f"{ada}.wav")).body)[: 9 * SECOND]
    assert np.abs(heard - alone).max() < 0.501 / 32768
    files = contents(await get(talk, "tracks.zip?format=wav"))
    assert len(files) == 3


async def test_a_shared_link_plays_a_track_and_no_archive(talk: VoiceSession) -> None:
    await in_db(ended)(talk)
    row = await in_db(shares.share)(talk, days=1, by=await in_db(a_user)("owner"))
    token = shares.token_of(row)
    ada = await in_db(track_of)(talk, "Ada")
    assert (await get(talk, f"{ada}.mp3", token=token)).status == 200
    assert (await get(talk, "tracks.zip", token=token)).status in (403, 404)
