"""A thousand rotations: not one sample is lost or doubled at a seam."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
import seams
from pytest_django.fixtures import Settings

from sessions import recordings, spool

TRACKS, SECONDS = 4, 252


@pytest.mark.django_db(transaction=True)
async def test_a_thousand_rotations_leave_no_trace(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DATA_DIR = tmp_path
    settings.RECORDING_CHUNK_S = 1.0
    noted: list[recordings.Chunk] = []
    monkeypatch.setattr(recordings, "sealed", noted.append)
    monkeypatch.setattr(recordings, "ring", lambda _: None)
    monkeypatch.setattr(
        "os.fsync", lambda _: None
    )  # seconds of it: not the matter here
    session = uuid.uuid4()
    tracks = [seams.a_track(1, session, number) for number in range(TRACKS)]
    said = await seams.all_record(tracks, seconds=SECONDS)
    folders = {folder.name[:36]: folder for folder in spool.folders(session)}
    count = 0
    for track, sound in zip(tracks, said, strict=True):
        who = str(track.participant_public_id)
        found = seams.verdict(folders[who], sound, tmp_path / who)
        assert found.is_the_unbroken_stream
        assert found.lengths == {"FFmpeg": 0, "mpg123": 0}
        assert found.moved == {"FFmpeg": 0, "mpg123": 0}
        assert min(found.worst_db.values()) > 30
        count += found.seams
    assert count >= 1000
    assert len(noted) == count + TRACKS
