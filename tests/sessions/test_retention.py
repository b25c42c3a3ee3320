"""What goes, and when: never before something better is kept."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings
from scene import NOON, a_session

from sessions import keys, recordings, retention
from sessions.models import Recording, State, Tier, VoiceSession
from sessions.recordings import Made
from sessions.storage import storage

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def here(tmp_path: Path, settings: Settings) -> Path:
    settings.STORAGE_DIR = tmp_path / "storage"
    settings.KEEP_CHUNKS_DAYS, settings.KEEP_FRAGMENTS_DAYS = 7, 90
    return tmp_path


def a_file(here: Path, session: VoiceSession, tier: Tier, name: str) -> Recording:
    key = f"{keys.session_prefix(session.public_id)}{name}"
    path = here / "file"
    path.write_bytes(name.encode())
    found = storage().put(key, path, content_type="audio/mpeg")
    row = recordings.note(Made(session.pk, tier, key, path, start=0, duration=1))
    recordings.stored(row, found)
    return row


def kept(here: Path) -> set[str]:
    rows = {row.key.rsplit("/", 1)[-1] for row in Recording.objects.all()}
    files = {p.name for p in (here / "storage" / "recordings").rglob("*.mp3")}
    assert rows == files
    return rows


def test_pieces_go_first_and_the_master_never(here: Path) -> None:
    session = a_session(State.READY)
    for tier in (Tier.CHUNK, Tier.FRAGMENT, Tier.MASTER):
        a_file(here, session, tier, f"{tier.value}.mp3")
    assert retention.sweep(now=NOON + timedelta(days=6)) == 0
    assert retention.sweep(now=NOON + timedelta(days=8)) == 1
    assert kept(here) == {"fragment.mp3", "master.mp3"}
    assert retention.sweep(now=NOON + timedelta(days=900)) == 1
    assert kept(here) == {"master.mp3"}


def test_nothing_goes_without_a_master(here: Path) -> None:
    session = a_session(State.READY)
    a_file(here, session, Tier.CHUNK, "chunk.mp3")
    assert retention.sweep(now=NOON + timedelta(days=900)) == 0


def test_nothing_goes_before_the_session_is_ready(here: Path) -> None:
    session = a_session(State.FINISHING)
    a_file(here, session, Tier.CHUNK, "chunk.mp3")
    a_file(here, session, Tier.MASTER, "master.mp3")
    assert retention.sweep(now=NOON + timedelta(days=900)) == 0


def test_no_days_keep_for_ever(here: Path, settings: Settings) -> None:
    settings.KEEP_CHUNKS_DAYS = 0
    session = a_session(State.READY)
    a_file(here, session, Tier.CHUNK, "chunk.mp3")
    a_file(here, session, Tier.MASTER, "master.mp3")
    assert retention.sweep(now=NOON + timedelta(days=900)) == 0
