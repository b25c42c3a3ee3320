"""The spool is dropped when storage has what was made of it, not a moment before."""

from __future__ import annotations

import asyncio
import hashlib
import random
from pathlib import Path
from typing import Any

import bad_road
import numpy as np
import pytest
import seams
from bad_road import Fault, Request, Road, says
from buckets import Making
from pytest_django.fixtures import Settings
from scene import a_session

from sessions import finish, keys, lifecycle, recordings, spool
from sessions import storage as storages
from sessions.audio.journal import Journal
from sessions.models import Participant, Recording, State, Tier, VoiceSession
from sessions.spool import Folder
from sessions.storage import S3Options, StorageError

pytestmark = pytest.mark.django_db(transaction=True)

FAULTS: list[Fault] = [
    says(503, "SlowDown"),
    says(507, "InsufficientStorage"),
    says(403, "AccessDenied"),
    bad_road.resets_in_mid_body,
    bad_road.loses_the_answer,
    bad_road.stores_half,
    bad_road.stores_half_and_resets,
    bad_road.stores_a_wrong_byte,
    bad_road.stores_nothing,
    bad_road.answers_half,
]
ROUNDS = 12
SECONDS = 3


class Bucket:
    """What a bucket truly holds: read past the bad road."""

    def __init__(self, truth: Any, said: dict[str, Any]) -> None:
        self.truth = truth
        self.said = said
        self.fragments: dict[str, bytes] = {}
        self.drops: list[str] = []

    def has(self, key: str, tmp_path: Path) -> bytes | None:
        try:
            self.truth.get(key, tmp_path / "fetched")
        except StorageError:
            return None
        return (tmp_path / "fetched").read_bytes()

    def must_hold(self, folder: Folder, tmp_path: Path) -> None:
        """Each sample is in the spool, or in an object that is what was made of it."""
        if self.is_in_spool(folder):
            if folder.fragment.exists():
                self.fragments[folder.name] = folder.fragment.read_bytes()
            return
        self.must_have_stored(folder, tmp_path)

    def must_have_stored(self, folder: Folder, tmp_path: Path) -> None:
        session = folder.path.parent.name
        key = f"{keys.ROOT}/{session}/full/FULL-{folder.name}.mp3"
        row = Recording.objects.get(key=key)
        found = self.has(key, tmp_path)
        assert found is not None, "neither here nor there"
        assert found == self.fragments[folder.name]
        assert (row.state, row.size) == (Recording.State.STORED, len(found))

    def is_in_spool(self, folder: Folder) -> bool:
        if not folder.journal.exists():
            return False
        with folder.journal.open("rb") as file:
            heard = np.concatenate([placed.pcm for placed in Journal(file).placed()])
        return np.array_equal(heard, self.said[folder.name[:36]])


def recorded(session: VoiceSession) -> dict[str, Any]:
    """Two people's sound, ended in order; what each of them said."""
    people = [
        Participant.objects.create(session=session, key=name, name=name)
        for name in ("Ada", "Ben")
    ]
    tracks = [
        seams.a_track(session.pk, session.public_id, person.pk, person.public_id)
        for person in people
    ]
    said = asyncio.run(seams.all_record(tracks, seconds=SECONDS))
    lifecycle.advance(session.pk, State.FINISHING)
    return {
        str(person.public_id): sound for person, sound in zip(people, said, strict=True)
    }


def test_whatever_storage_does_each_sample_is_here_or_verified_there(
    hurried: S3Options,
    in_moto: S3Options,
    making: Making,
    road: Road,
    tmp_path: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.DATA_DIR = tmp_path
    settings.RECORDING_CHUNK_S = 1.0
    settings.S3_BUCKET = hurried.bucket
    monkeypatch.setattr(storages, "_s3_options", lambda: hurried)
    monkeypatch.setattr(recordings, "ring", lambda _: None)
    session = a_session(State.ACTIVE)
    bucket = Bucket(making(in_moto), recorded(session))
    drop = Folder.drop

    def dropping(folder: Folder) -> None:
        bucket.must_have_stored(folder, tmp_path)
        bucket.drops.append(folder.name)
        drop(folder)

    monkeypatch.setattr(Folder, "drop", dropping)
    dice = random.Random(1)

    def choose(_: Request) -> Fault | None:
        return dice.choice(FAULTS) if dice.random() < 0.5 else None

    folders = spool.folders(session.public_id)
    assert len(folders) == 2
    road.chooser = choose
    waited = 0
    while waited < ROUNDS and not finish.complete(session.pk):
        waited += 1
        for folder in folders:
            bucket.must_hold(folder, tmp_path)
    assert waited > 2, "nothing ever went wrong"
    road.chooser = lambda _: None
    assert waited < ROUNDS or any(finish.complete(session.pk) for _ in range(3))
    assert sorted(bucket.drops) == [folder.name for folder in folders]
    assert not spool.folders()
    session.refresh_from_db()
    assert session.state == State.READY
    rows = recordings.of_session(session.pk)
    for row in rows:
        found = bucket.has(row.key, tmp_path)
        assert found is not None, row.key
        assert (row.state, row.size, row.error) == ("stored", len(found), "")
        assert row.md5 == hashlib.md5(found).hexdigest()
    assert [row.tier for row in rows].count(Tier.MASTER) == 1
    assert [row.tier for row in rows].count(Tier.CHUNK) >= 2 * SECONDS
