"""Storage against database: neither knows something that the other does not."""

from __future__ import annotations

import os
import uuid
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django.fixtures import Settings
from scene import a_session

from sessions import keys, mixing, reconciling, recordings
from sessions.models import Recording, State, Tier
from sessions.reconciling import Finding, Verdict
from sessions.recordings import Made
from sessions.storage import storage

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def here(tmp_path: Path, settings: Settings) -> Path:
    settings.STORAGE_DIR = tmp_path / "storage"
    return tmp_path


def an_object(here: Path, key: str, data: bytes = b"x" * 1000) -> Path:
    """In storage for an hour already."""
    path = here / "file"
    path.write_bytes(data)
    storage().put(key, path, content_type="audio/mpeg")
    there = here / "storage" / key
    os.utime(there, (there.stat().st_mtime - 3600,) * 2)
    return path


def a_stored_row(here: Path, tier: Tier = Tier.MASTER) -> Recording:
    session = a_session(State.READY)
    key = keys.master_key(session.public_id)
    path = an_object(here, key)
    row = recordings.note(Made(session.pk, tier, key, path, start=0, duration=5))
    found = storage().stat(key)
    assert found is not None
    recordings.stored(row, found)
    return row


def test_there_is_nothing_to_say_where_both_agree(here: Path) -> None:
    a_stored_row(here)
    assert reconciling.reconcile() == []
    said = StringIO()
    call_command("reconcile", stdout=said)
    assert said.getvalue() == "Storage and database agree.\n"


def test_what_the_database_lost_is_taken_in(here: Path) -> None:
    row = a_stored_row(here)
    Recording.objects.all().delete()
    assert reconciling.reconcile(dry_run=True) == [Finding(row.key, Verdict.TAKEN_IN)]
    assert not Recording.objects.exists()
    assert reconciling.reconcile() == [Finding(row.key, Verdict.TAKEN_IN)]
    assert Recording.objects.get().tier == Tier.MASTER
    assert reconciling.reconcile() == []


def test_a_stranger_is_told_and_deleted_only_when_asked(here: Path) -> None:
    key = keys.master_key(uuid.uuid4())
    an_object(here, key)
    assert reconciling.reconcile() == [Finding(key, Verdict.STRANGER)]
    assert storage().stat(key)
    assert reconciling.reconcile(delete=True) == [Finding(key, Verdict.DELETED)]
    assert storage().stat(key) is None


def test_what_is_just_being_stored_is_left_alone(here: Path) -> None:
    path = here / "file"
    path.write_bytes(b"new")
    storage().put(keys.master_key(uuid.uuid4()), path, content_type="audio/mpeg")
    assert reconciling.reconcile(delete=True) == []


def test_a_lost_master_is_mixed_again(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[int] = []
    monkeypatch.setattr(mixing, "ring", rung.append)
    row = a_stored_row(here)
    (here / "storage" / row.key).unlink()
    assert reconciling.reconcile() == [Finding(row.key, Verdict.LOST)]
    assert rung == [row.session_id]


def test_a_file_of_another_size_is_told_on_its_row(here: Path) -> None:
    row = a_stored_row(here, Tier.FRAGMENT)
    (here / "storage" / row.key).write_bytes(b"torn")
    assert reconciling.reconcile() == [Finding(row.key, Verdict.OTHER_SIZE)]
    row.refresh_from_db()
    assert (row.state, row.error) == (
        "failed",
        "The file has another size in storage.",
    )
