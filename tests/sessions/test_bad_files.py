"""Files that are not what they should be: told on their row; nothing else suffers."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pytest_django.fixtures import Settings
from scene import NOON, a_session

from sessions import finish, recordings, recovery, spool, tasks
from sessions.audio import journal
from sessions.audio.frames import Frame, Placed
from sessions.audio.journal import Head
from sessions.capture.tape import Tape
from sessions.models import Recording, State, Tier, VoiceSession
from sessions.spool import Folder
from sessions.storage import LocalStorage, Stored, storage

pytestmark = pytest.mark.django_db

FRAMES = 80
PRECIOUS = b"nobody may write here"
PATIENCE_S = 60
GOOD = ""
NOT_READABLE = "Not readable: neither the journal nor a chunk is what it should be"
ITS_CHUNKS = "Made of its chunks: the journal is damaged."
Harm = Callable[[Folder], object]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, settings: Settings) -> Iterator[Path]:
    settings.DATA_DIR = tmp_path
    settings.STORAGE_DIR = tmp_path / "storage"
    settings.RECORDING_CHUNK_S = 0.25
    (tmp_path / "precious").write_bytes(PRECIOUS)
    signal.alarm(PATIENCE_S)  # who waits for a pipe is torn from it
    yield tmp_path
    signal.alarm(0)
    assert (tmp_path / "precious").read_bytes() == PRECIOUS


def left_behind(session: VoiceSession, *, at: int = 48_000) -> Folder:
    """A connection as SIGKILL leaves it: a journal, and chunks but for the last."""
    person = uuid.uuid4()
    folder = Folder(
        spool.root() / str(session.public_id) / f"{person}-20260504T120001.000Z"
    )
    folder.path.mkdir(parents=True)
    started = NOON.isoformat()
    head = Head(str(session.public_id), str(person), 1, 1, 16_000, started, started)
    data = journal.head(head)
    tape = Tape(folder, chunk_s=0.25)
    rng = np.random.default_rng(person.int)
    for n in range(FRAMES):
        pcm = rng.integers(-5000, 5000, 320).astype("<i2")
        data += journal.sound(n, Frame(pcm, 16_000, 1 + n * 0.02))
        data += journal.placed(n, at + n * 960, dropped=0)
        if at < 1 << 30:
            tape.put(Placed(at + n * 960, pcm, 16_000))
    tape.close()
    folder.journal.write_bytes(data)
    return folder


def without_chunks(folder: Folder) -> None:
    for path in folder.path.glob("*.*"):
        path.unlink()


def journal_is(data: bytes) -> Harm:
    def harm(folder: Folder) -> None:
        without_chunks(folder)
        folder.journal.write_bytes(data)

    return harm


def in_place_of(
    which: Callable[[Folder], Path], make: Callable[[Path], object]
) -> Harm:
    def harm(folder: Folder) -> None:
        path = which(folder)
        path.unlink(missing_ok=True)
        if path == folder.journal:
            without_chunks(folder)
        make(path)

    return harm


def its_journal(folder: Folder) -> Path:
    return folder.journal


def its_chunk(folder: Folder) -> Path:
    return folder.chunks()[0][1]


def its_granules(folder: Folder) -> Path:
    return folder.granules(folder.chunks()[0][0])


def its_open_chunk(folder: Folder) -> Path:
    return next(folder.path.glob("*.part"))


def its_fragment(folder: Folder) -> Path:
    return folder.fragment


def a_stray(folder: Folder) -> Path:
    return folder.path / "holiday.mp3"


def a_far_chunk(folder: Folder) -> Path:
    return folder.sealed(99_999)


def a_link(path: Path) -> None:
    home = path
    while not (home / "precious").exists():
        home = home.parent
    path.symlink_to(home / "precious")


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def holding(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


def halved(folder: Folder) -> None:
    os.truncate(path := its_chunk(folder), path.stat().st_size // 2 + 7)


def spoilt(folder: Folder) -> None:
    path = its_chunk(folder)
    path.write_bytes(b"PK\x03\x04" * (path.stat().st_size // 4))


HUGE = journal.MARK + bytes([journal.SOUND]) + b"\xff" * 20
HARMS: list[tuple[Harm, str]] = [
    (lambda _: None, GOOD),
    (journal_is(b""), NOT_READABLE),
    (journal_is(b"RIFF....WAVEfmt "), NOT_READABLE),
    (journal_is(HUGE * 1000), NOT_READABLE),
    (journal_is(journal.end() * 10), NOT_READABLE),
    (in_place_of(its_journal, Path.mkdir), NOT_READABLE),
    (in_place_of(its_journal, os.mkfifo), NOT_READABLE),
    (in_place_of(its_journal, a_link), NOT_READABLE),
    (in_place_of(its_journal, endless), NOT_READABLE),
    (lambda folder: folder.journal.write_bytes(b""), ITS_CHUNKS),
    (lambda folder: folder.journal.write_bytes(bytes(5000)), ITS_CHUNKS),
    (halved, GOOD),
    (spoilt, GOOD),
    (in_place_of(its_chunk, holding(b"")), GOOD),
    (in_place_of(its_chunk, Path.mkdir), GOOD),
    (in_place_of(its_chunk, os.mkfifo), GOOD),
    (in_place_of(its_chunk, a_link), GOOD),
    (in_place_of(its_granules, holding(b"ID3" * 99)), GOOD),
    (in_place_of(its_granules, os.mkfifo), GOOD),
    (in_place_of(its_granules, a_link), GOOD),
    (in_place_of(its_open_chunk, os.mkfifo), GOOD),
    (in_place_of(its_open_chunk, a_link), GOOD),
    (in_place_of(its_fragment, os.mkfifo), GOOD),
    (in_place_of(its_fragment, a_link), GOOD),
    (in_place_of(its_fragment, Path.mkdir), GOOD),
    (in_place_of(a_stray, holding(b"ID3" * 99)), GOOD),
    (in_place_of(a_far_chunk, holding(b"ID3" * 99)), GOOD),
]


def row_of(folder: Folder) -> Recording:
    return Recording.objects.get(tier=Tier.FRAGMENT, connection=folder.name)


def test_what_lies_in_the_spool_may_be_anything() -> None:
    session = a_session(State.FINISHING)
    folders = [left_behind(session) for _ in HARMS]
    endless = left_behind(session, at=6 * 24 * 3600 * 48_000)
    for folder, (harm, _) in zip(folders, HARMS, strict=True):
        harm(folder)
    assert finish.complete(session.pk)
    for number, (folder, (_, error)) in enumerate(zip(folders, HARMS, strict=True)):
        row = row_of(folder)
        assert row.error == error, number
        is_lost = error == NOT_READABLE
        assert row.state == ("failed" if is_lost else "stored"), number
        assert folder.path.exists() == is_lost, number
        if error == GOOD:
            assert row.duration == FRAMES * 960 + 48_000 % 1152, number
    assert "long after the session's end" in row_of(endless).error
    (master,) = recordings.of_tier(session.pk, Tier.MASTER)
    assert master.state == Recording.State.STORED
    assert master.duration == 48_000 + FRAMES * 960
    assert recovery.left_behind() == []


def test_whole_folders_that_are_none_are_left_alone(here: Path) -> None:
    session = a_session(State.FINISHING)
    left_behind(session)
    os.mkfifo(spool.root() / str(session.public_id) / "pipe")
    (spool.root() / str(session.public_id) / "link").symlink_to(here)
    os.mkfifo(spool.root() / "pipe")
    (spool.root() / str(uuid.uuid4())).symlink_to(here)
    (done,) = [one for one in recovery.recover() if one.public_id[8:9] == "-"]
    assert done.done == "ready"
    assert recovery.ring() == []


def test_what_comes_back_from_storage_may_be_anything(here: Path) -> None:
    harms: list[Callable[[Path], object]] = [
        holding(b""),
        holding(b"RIFF" * 4000),
        Path.mkdir,
        os.mkfifo,
        a_link,
        lambda _: None,
    ]
    session = a_session(State.FINISHING)
    whole = left_behind(session)
    hurt = [left_behind(session) for _ in harms]
    assert finish.complete(session.pk)
    shutil.rmtree(here / "storage" / f"recordings/{session.public_id}/chunks")
    for folder, harm in zip(hurt, harms, strict=True):
        path = here / "storage" / row_of(folder).key
        path.unlink()
        harm(path)
    recordings.replace_master(session.pk)
    assert tasks.remix(session.pk)
    (master,) = recordings.of_tier(session.pk, Tier.MASTER)
    assert master.state == Recording.State.STORED
    assert storage().stat(master.key) is not None
    assert row_of(whole).state == Recording.State.STORED
    for number, folder in enumerate(hurt):
        assert row_of(folder).error, number


def test_a_file_that_the_disk_does_not_give_keeps_no_other_from_storage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = a_session(State.FINISHING)
    folders = [left_behind(session) for _ in range(2)]
    put = LocalStorage.put

    def puts(self: LocalStorage, key: str, path: Path, *, content_type: str) -> Stored:
        if path == folders[0].fragment:
            raise OSError(errno.EIO, "the disk is damaged")
        return put(self, key, path, content_type=content_type)

    with monkeypatch.context() as damaged:
        damaged.setattr(LocalStorage, "put", puts)
        assert not finish.complete(session.pk)
    assert "the disk is damaged" in row_of(folders[0]).error
    assert row_of(folders[1]).state == Recording.State.STORED
    assert finish.complete(session.pk)
    assert row_of(folders[0]).error == ""
