"""What a crash left on a host becomes a recording, without a hand or with one."""

from __future__ import annotations

import os
import shutil
import uuid
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from django.core.management import call_command
from django.utils import timezone
from pytest_django.fixtures import Settings
from scene import a_session

from sessions import (
    deletion,
    durable,
    events,
    finish,
    mixing,
    recordings,
    recovery,
    restoring,
    spool,
    tasks,
)
from sessions.audio import journal
from sessions.audio.frames import Frame
from sessions.audio.journal import Head
from sessions.models import Participant, Recording, State, VoiceSession
from sessions.storage import LocalStorage, UnreachableError, storage
from transcripts import forgetting

pytestmark = pytest.mark.django_db

STARTED = "2026-05-04T12:00:00+00:00"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, settings: Settings) -> Path:
    settings.DATA_DIR = tmp_path
    settings.STORAGE_DIR = tmp_path / "storage"
    return tmp_path


def left_behind(
    session: uuid.UUID, *, seconds: float = 2.0, torn: int = 0
) -> spool.Folder:
    """A connection's journal as SIGKILL leaves it: no end, perhaps half a record."""
    person = uuid.uuid4()
    name = f"{person}-20260504T120001.000Z"
    folder = spool.Folder(spool.root() / str(session) / name)
    folder.path.mkdir(parents=True)
    head = Head(str(session), str(person), 1, 1, 16_000, STARTED, STARTED)
    data = journal.head(head)
    rng = np.random.default_rng(2)
    for n in range(int(seconds * 50)):
        pcm = rng.integers(-5000, 5000, 320).astype("<i2")
        data += journal.sound(n, Frame(pcm, 16_000, 1 + n * 0.02))
        data += journal.placed(n, 48_000 + n * 960, dropped=0)
    folder.journal.write_bytes(data[: len(data) - torn])
    return folder


def of(session: VoiceSession) -> dict[str, list[Recording]]:
    rows: dict[str, list[Recording]] = {}
    for row in recordings.of_session(session.pk):
        rows.setdefault(row.tier, []).append(row)
    return rows


def test_the_journal_of_a_dead_process_becomes_a_master() -> None:
    session = a_session(State.FINISHING)
    left_behind(session.public_id, torn=7)
    (done,) = recovery.recover()
    assert done.done == "ready"
    session.refresh_from_db()
    assert session.state == State.READY
    rows = of(session)
    # The last frame's place was torn off; its sound was not.
    assert rows["fragment"][0].end == 48_000 + 100 * 960
    assert storage().stat(rows["master"][0].key) is not None
    assert not spool.folders()


def test_originals_are_kept_when_asked_for(here: Path, settings: Settings) -> None:
    settings.KEEP_ORIGINALS = True
    session = a_session(State.FINISHING)
    left_behind(session.public_id)
    recovery.recover()
    (original,) = of(session)["original"]
    assert original.state == "stored"
    assert (here / "storage" / original.key).read_bytes()[:4] == b"fLaC"
    assert not spool.folders()


def test_a_dry_run_changes_nothing() -> None:
    session = a_session(State.FINISHING)
    folder = left_behind(session.public_id)
    (done,) = recovery.recover(dry_run=True)
    assert done.done == "would be recovered"
    assert folder.journal.exists()
    assert not of(session)


def test_sound_that_came_to_light_later_joins_the_master() -> None:
    session = a_session(State.FINISHING)
    left_behind(session.public_id)
    recovery.recover()
    left_behind(session.public_id, seconds=3.0)
    assert recovery.left_behind() == [session.pk]
    (done,) = recovery.recover()
    assert done.done == "ready, mixed anew"
    rows = of(session)
    assert len(rows["fragment"]) == 2
    assert rows["master"][0].duration == 48_000 * 4
    assert recovery.left_behind() == []


def test_a_session_the_database_lost_comes_back() -> None:
    public_id = uuid.uuid4()
    left_behind(public_id)
    recovery.recover(public_id)
    session = VoiceSession.objects.get(public_id=public_id)
    assert session.state == State.READY
    assert Participant.objects.get(session=session).name == "Unknown"
    assert len(of(session)["master"]) == 1


def test_what_nobody_can_read_is_told_and_stops_nothing_else(here: Path) -> None:
    session = a_session(State.FINISHING)
    left_behind(session.public_id)
    hurt = left_behind(session.public_id)
    hurt.journal.write_bytes(b"not a journal")
    hurt.sealed(0).write_bytes(b"ID3 nor is this MP3" * 50)
    (here / "spool" / "lost+found" / "x").mkdir(parents=True)
    done = {one.public_id: one.done for one in recovery.recover()}
    assert done["lost+found"] == "no session's folder: left"
    assert done[str(session.public_id)] == "ready"
    rows = of(session)
    assert len(rows["master"]) == 1
    (failed,) = [row for row in rows["fragment"] if row.state == "failed"]
    assert "neither the journal nor a chunk" in failed.error
    assert hurt.journal.exists(), "it is kept for people to look at"
    assert recovery.left_behind() == []


def test_a_session_that_keeps_nothing_leaves_nothing() -> None:
    session = a_session(State.READY, record=False)
    left_behind(session.public_id)
    recovery.recover()
    assert not spool.folders()
    assert not of(session)


def test_who_still_records_is_left_alone() -> None:
    session = a_session(State.FINISHING)
    folder = left_behind(session.public_id)
    with folder.taken() as is_ours:
        assert is_ours
        (done,) = recovery.recover()
    assert done.done == "still records: left"


def test_the_command_says_what_it_did() -> None:
    session = a_session(State.FINISHING)
    left_behind(session.public_id)
    said = StringIO()
    call_command("recover", "--all", stdout=said)
    assert said.getvalue() == f"{session.public_id}: 1 connections: ready\n"
    said = StringIO()
    call_command("recover", "--all", stdout=said)
    assert said.getvalue() == "Nothing was left behind.\n"


def test_a_master_that_storage_lost_is_made_again(here: Path) -> None:
    session = a_session(State.FINISHING)
    left_behind(session.public_id)
    recovery.recover()
    key = of(session)["master"][0].key
    first = (here / "storage" / key).read_bytes()
    shutil.rmtree((here / "storage" / key).parent)
    recordings.replace_master(session.pk)
    assert tasks.remix(session.pk)
    assert (here / "storage" / key).read_bytes() == first


def test_a_deleted_session_leaves_nothing_anywhere(here: Path) -> None:
    session = a_session(State.FINISHING)
    left_behind(session.public_id)
    recovery.recover()
    left_behind(session.public_id)
    deletion.delete(session)
    assert not list((here / "storage").rglob("*.mp3"))
    assert not spool.folders()
    assert not VoiceSession.objects.exists()


def test_what_another_host_still_had_of_it_does_not_bring_it_back() -> None:
    session = a_session(State.FINISHING)
    left_behind(session.public_id)
    recovery.recover()
    deletion.delete(session)
    for by in (restoring.restore, recovery.ring, recovery.recover):
        left_behind(session.public_id)
        by()
        assert not VoiceSession.objects.exists()
    assert not spool.folders()


def test_sound_that_comes_when_its_days_are_over_goes(here: Path) -> None:
    session = a_session(State.READY)
    now = timezone.now()
    VoiceSession.objects.filter(pk=session.pk).update(sound_deleted_at=now)
    left_behind(session.public_id)
    (done,) = recovery.recover()
    assert done.done == "nothing of it may be kept: dropped"
    assert not spool.folders()
    assert not of(session)


def test_whose_rows_were_lost_is_not_forgotten_by_what_everybody_may_read() -> None:
    public_id = uuid.uuid4()
    left_behind(public_id)
    recovery.recover(public_id)
    session = VoiceSession.objects.get(public_id=public_id)
    person = Participant.objects.get(session=session)
    assert person.key != str(person.public_id)
    for key in (person.key, str(person.public_id)):  # of an older release
        Participant.objects.filter(pk=person.pk).update(key=key)
        assert forgetting.stop_and_forget(session, [person.public_id]) == []


def test_nothing_is_deleted_while_storage_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = a_session(State.FINISHING)
    left_behind(session.public_id)
    recovery.recover()

    def refuses(self: object, keys: object) -> None:
        raise UnreachableError("nobody answers")

    with monkeypatch.context() as away:
        away.setattr(LocalStorage, "delete", refuses)
        with pytest.raises(UnreachableError):
            deletion.delete(session)
    assert VoiceSession.objects.filter(pk=session.pk).exists()
    deletion.delete(session)
    assert not VoiceSession.objects.exists()


def test_the_log_tells_how_far_the_master_is() -> None:
    session = a_session(State.FINISHING)
    left_behind(session.public_id)
    recovery.recover()
    log = events.replay(session.pk, after=0)
    told = [event.data["percent"] for event in log if event.type == "progress"]
    assert told == sorted(told)
    assert told[-1] == 100
    stored = [event.data["tier"] for event in log if event.type == "recording"]
    assert stored.count("master") == 1


def test_a_fragment_that_is_no_sound_costs_only_itself(here: Path) -> None:
    session = a_session(State.FINISHING)
    left_behind(session.public_id)
    left_behind(session.public_id)
    recovery.recover()
    first, second = of(session)["fragment"]
    (here / "storage" / first.key).write_bytes(b"PK no sound at all" * 400)
    (here / "storage" / of(session)["master"][0].key).unlink()
    recordings.replace_master(session.pk)
    Recording.objects.filter(pk=first.pk).update(md5="", size=7200)
    assert tasks.remix(session.pk)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state) == ("failed", "stored")
    assert len(of(session)["master"]) == 1


def test_sound_that_comes_after_the_fragments_is_not_dropped() -> None:
    session = a_session(State.FINISHING)
    left_behind(session.public_id)
    assert mixing.fragments(session.pk)
    assert mixing.master(session.pk)
    late = left_behind(session.public_id, seconds=3.0)
    assert not mixing.clear(session.pk)
    assert late.journal.exists()
    assert finish.complete(session.pk)
    rows = of(session)
    assert len(rows["fragment"]) == 2
    assert rows["master"][0].duration == 48_000 * 4


def test_rows_are_on_the_disk_before_their_spool_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = a_session(State.FINISHING)
    left_behind(session.public_id)
    happened: list[str] = []
    drop = spool.Folder.drop
    sync = os.fsync

    def syncing(descriptor: int) -> None:
        happened.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        sync(descriptor)

    def dropping(folder: spool.Folder) -> None:
        happened.append("dropped")
        drop(folder)

    monkeypatch.setattr(spool.Folder, "drop", dropping)
    monkeypatch.setattr(os, "fsync", syncing)
    connection = SimpleNamespace(
        vendor="sqlite", settings_dict={"NAME": spool.root().parent / "rows.sqlite3"}
    )
    (spool.root().parent / "rows.sqlite3-wal").write_bytes(b"what was committed")
    monkeypatch.setattr(durable, "connection", connection)
    assert finish.complete(session.pk)
    assert "rows.sqlite3-wal" in happened[: happened.index("dropped")]


def test_a_session_whose_rows_a_power_cut_took_comes_back_by_itself() -> None:
    public_id = uuid.uuid4()
    folder = left_behind(public_id)
    with folder.taken():
        assert recovery.ring() == []  # it is still being recorded
    (session_id,) = recovery.ring()
    session = VoiceSession.objects.get(public_id=public_id)
    assert (session.pk, session.state) == (session_id, State.FINISHING)
    assert recovery.ring() == []
    assert tasks.finish(session_id)
    assert len(of(session)["master"]) == 1
