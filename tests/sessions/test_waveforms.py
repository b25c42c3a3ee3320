"""Waveforms over HTTP: what players draw, for those who may hear it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.test import Client
from numpy.typing import NDArray
from scene import a_session, a_user

from sessions import access, recordings
from sessions.audio.meter import Metered
from sessions.models import Participant, Recording, State, VoiceSession
from sessions.recordings import Chunk

pytestmark = pytest.mark.django_db


@pytest.fixture
def session() -> VoiceSession:
    return a_session(State.ACTIVE)


@pytest.fixture
def chunk(
    session: VoiceSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Recording:
    """A sealed chunk of a session that runs; storage does not have it yet."""
    monkeypatch.setattr(recordings, "ring", lambda pk: None)
    person = Participant.objects.create(session=session, key="ada", name="Ada")
    path = tmp_path / "chunk.mp3"
    path.write_bytes(bytes(192))
    peaks: NDArray[np.int8] = np.array([[-1, 2], [-128, 127]], np.int8)
    metered = Metered(peaks, np.array([0.25], np.float32))
    return recordings.sealed(Chunk(session.pk, person.pk, "a", 0, 5, path, metered))


def get(session: VoiceSession, row: int, suffix: str, *, token: str = "") -> Any:
    headers = {"Authorization": f"Bearer {token or access.token_of(session)}"}
    url = f"/api/sessions/{session.public_id}/recordings/{row}/peaks.{suffix}"
    return Client().get(url, headers=headers)


def test_a_sealed_chunk_of_a_running_session_has_its_peaks(
    session: VoiceSession, chunk: Recording
) -> None:
    answer = get(session, chunk.pk, "json")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert answer["Cache-Control"] == "private, no-store"
    shown = answer.json()
    assert (shown["length"], shown["samples_per_pixel"]) == (2, 2_400)
    assert shown["data"] == [-1, 2, -128, 127]


def test_the_binary_form_holds_the_same(
    session: VoiceSession, chunk: Recording
) -> None:
    answer = get(session, chunk.pk, "dat")
    assert answer["Content-Type"] == "application/octet-stream"
    assert struct.unpack("<6i4b", answer.content)[4:] == (2, 1, -1, 2, -128, 127)


def test_what_is_not_there_is_said(session: VoiceSession, chunk: Recording) -> None:
    other = a_session(State.ACTIVE)
    unmetered = Recording.objects.create(session=session, tier="master", key="m")
    for row in (0, 10**30, unmetered.pk):
        assert get(session, row, "json").json()["code"] == "not_found"
    assert get(other, chunk.pk, "json").status_code == 404
    assert get(session, chunk.pk, "png").json()["code"] == "unknown_format"


def test_only_who_may_open_the_session_sees_it(
    session: VoiceSession, chunk: Recording
) -> None:
    url = f"/api/sessions/{session.public_id}/recordings/{chunk.pk}/peaks.json"
    assert Client().get(url).status_code == 401
    assert get(session, chunk.pk, "json", token="wrong").status_code == 404
    stranger = Client()
    stranger.force_login(a_user("eve"))
    assert stranger.get(url).status_code == 404


def test_a_waveform_goes_with_its_recording(chunk: Recording) -> None:
    assert chunk.waveform.energies == struct.pack("<f", 0.25)
    chunk.delete()
    assert not type(chunk.waveform).objects.exists()
