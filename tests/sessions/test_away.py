"""What goes away for a while: one of two hosts that record, storage, the database."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings
from scene import a_session

from sessions import events, finish, mixing, participants, recordings, recovery, spool
from sessions.audio import journal
from sessions.audio.frames import Frame, Placed
from sessions.audio.journal import Head
from sessions.capture.tape import Tape
from sessions.models import Recording, State, Tier, VoiceSession
from sessions.spool import Folder
from sessions.storage import LocalStorage, UnreachableError

pytestmark = pytest.mark.django_db

SECOND = 48_000


@pytest.fixture(autouse=True)
def hosts(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Path]:
    """Two, with one storage; the work goes on at the second."""
    settings.STORAGE_DIR = tmp_path / "storage"
    settings.DATA_DIR = tmp_path / "second"
    settings.RECORDING_CHUNK_S = 1.0
    monkeypatch.setattr(recordings, "ring", lambda _: None)
    monkeypatch.setattr(
        "sessions.finish.STEPS",
        tuple(step for step in finish.STEPS if not step.startswith("transcripts")),
    )
    return {name: tmp_path / name for name in ("first", "second")}


def recorded(session: VoiceSession, *, seconds: float, sealed_s: float) -> Folder:
    """A connection that was killed: the journal has all, the sealed chunks a part."""
    person = participants.join(session.pk, key="ada", name="Ada", connection="one")
    folder = spool.new(
        session=session.public_id,
        participant=person.public_id,
        opened_at=session.started_at or timezone.now(),
    )
    started_at = str(session.started_at)
    head = Head(
        str(session.public_id),
        str(person.public_id),
        session.pk,
        person.pk,
        48_000,
        started_at,
        started_at,
    )
    data = journal.head(head)
    random = np.random.default_rng(3)
    tape = Tape(folder, chunk_s=1.0)
    for number in range(int(seconds * 50)):
        pcm = random.integers(-6000, 6000, 960).astype("<i2")
        position = 2 * SECOND + number * 960
        data += journal.sound(number, Frame(pcm, 48_000, 1 + number * 0.02))
        data += journal.placed(number, position, dropped=0)
        if number < sealed_s * 50:
            tape.put(Placed(position, pcm, 48_000))
    tape.close()
    folder.journal.write_bytes(data)
    for first, path in folder.chunks():
        frames = path.stat().st_size // 192
        recordings.sealed(
            recordings.Chunk(session.pk, person.pk, folder.name, first, frames, path)
        )
    return folder


def the(tier: Tier) -> Recording:
    return Recording.objects.get(tier=tier)


def test_what_it_stored_is_mixed_and_what_it_has_is_added_when_it_comes_back(
    settings: Settings, hosts: dict[str, Path]
) -> None:
    session = a_session(State.ACTIVE)
    settings.DATA_DIR = hosts["first"]
    recorded(session, seconds=4.0, sealed_s=3.0)
    assert mixing.store(session.pk)
    settings.DATA_DIR = hosts["second"]

    VoiceSession.objects.filter(pk=session.pk).update(
        state=State.FINISHING, ended_at=timezone.now()
    )
    assert not finish.complete(session.pk), "it may still come"
    assert not spool.folders()
    ended_at = timezone.now() - mixing.AWAY_AFTER - timedelta(seconds=1)
    VoiceSession.objects.filter(pk=session.pk).update(ended_at=ended_at)
    assert finish.complete(session.pk)
    fragment = the(Tier.FRAGMENT)
    assert fragment.error
    assert 3 * SECOND < fragment.end < 5 * SECOND
    assert not spool.folders()

    settings.DATA_DIR = hosts["first"]
    (done,) = recovery.recover()
    assert done.done == "ready, mixed anew"
    fragment = the(Tier.FRAGMENT)
    assert (fragment.error, fragment.state) == ("", "stored")
    assert fragment.end == the(Tier.MASTER).end == 6 * SECOND
    assert the(Tier.MASTER).state == "stored"
    assert not spool.folders()


def test_chunks_that_lie_on_its_disk_are_waited_for(
    settings: Settings, hosts: dict[str, Path]
) -> None:
    session = a_session(State.ACTIVE)
    settings.DATA_DIR = hosts["first"]
    recorded(session, seconds=3.0, sealed_s=3.0)
    settings.DATA_DIR = hosts["second"]
    VoiceSession.objects.filter(pk=session.pk).update(
        state=State.FINISHING,
        ended_at=timezone.now() - mixing.AWAY_AFTER - timedelta(seconds=1),
    )
    assert not finish.complete(session.pk)
    settings.DATA_DIR = hosts["first"]
    assert finish.complete(session.pk)
    assert the(Tier.FRAGMENT).error == ""
    assert the(Tier.FRAGMENT).end == 5 * SECOND


def test_while_storage_is_away_the_log_says_so_and_then_that_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = a_session(State.ACTIVE)
    folder = recorded(session, seconds=3.0, sealed_s=3.0)

    def refuses(*_: object, **__: object) -> None:
        raise UnreachableError("nobody answers")

    with monkeypatch.context() as away:
        away.setattr(LocalStorage, "put", refuses)
        for _ in range(3):
            assert not mixing.store(session.pk)
            assert recordings.is_waiting(session.pk)
    assert folder.chunks()
    assert mixing.store(session.pk)
    assert not recordings.is_waiting(session.pk)
    told = [e.data for e in events.replay(session.pk, after=0) if e.type == "storage"]
    assert told == [{"waiting": True}, {"waiting": False}]


def test_a_sealed_chunk_whose_row_was_never_written_is_stored_all_the_same() -> None:
    session = a_session(State.ACTIVE)
    folder = recorded(session, seconds=3.0, sealed_s=3.0)
    before = {
        row.key: row.duration for row in recordings.of_tier(session.pk, Tier.CHUNK)
    }
    assert len(before) == len(folder.chunks()) > 1
    Recording.objects.filter(session=session).order_by("-start")[0].delete()
    folder.sealed(7).write_bytes(b"RIFF" * 100)
    assert mixing.store(session.pk)
    rows = recordings.of_tier(session.pk, Tier.CHUNK)
    assert {row.key: row.duration for row in rows} == before
    assert {row.state for row in rows} == {"stored"}


def test_a_storage_that_is_away_is_not_asked_for_each_of_many_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each question may take half a minute, and a worker has other sessions too."""
    session = a_session(State.ACTIVE)
    many_spooled(session, count=10)
    asked: list[str] = []
    with monkeypatch.context() as away:
        away.setattr(LocalStorage, "put", refusing(asked))
        mixing.store(session.pk)
        assert len(asked) == mixing.VAIN
        mixing.store(session.pk)
    assert len(set(asked)) == 2 * mixing.VAIN  # others, the second time
    assert mixing.store(session.pk)


def test_files_of_their_own_trouble_keep_no_other_from_storage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = a_session(State.ACTIVE)
    many_spooled(session, count=10)
    bad = {row.key for row in recordings.spooled(session.pk)[: mixing.VAIN]}
    with monkeypatch.context() as away:
        away.setattr(LocalStorage, "put", refusing([], only=bad))
        for _ in range(2):
            assert not mixing.store(session.pk)
    assert {row.key for row in recordings.spooled(session.pk)} == bad


def many_spooled(session: VoiceSession, *, count: int) -> None:
    """About so many chunks wait on this host's disk."""
    recorded(session, seconds=float(count), sealed_s=float(count))
    assert len(recordings.spooled(session.pk)) >= count - 2


def refusing(asked: list[str], *, only: set[str] | None = None) -> Any:
    """A storage's `put` that does not answer: for these keys, or for all."""
    put = LocalStorage.put

    def attempt(self: LocalStorage, key: str, *rest: Any, **how: Any) -> Any:
        if only is not None and key not in only:
            return put(self, key, *rest, **how)
        asked.append(key)
        raise UnreachableError("nobody answers")

    return attempt
