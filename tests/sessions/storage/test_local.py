from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scene import counted

from sessions.errors import VoiceError
from sessions.keys import BadKeyError
from sessions.storage import (
    FullError,
    KeyTakenError,
    LinkRefusedError,
    LocalStorage,
    NotStoredError,
    S3Storage,
    StorageError,
    sign,
    storage,
    unsign,
)
from sessions.storage.links import PATH
from sessions.storage.patience import within

MP3 = "audio/mpeg"
KEY = "recordings/one/chunks/a.mp3"
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "storage"


@pytest.fixture
def local(root: Path) -> LocalStorage:
    return LocalStorage(root)


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "sound.mp3"
    path.write_bytes(os.urandom(300_000))
    return path


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def files(folder: Path) -> list[str]:
    """All that lies in a folder, what is hidden too."""
    found = [Path(at, name) for at, _, names in os.walk(folder) for name in names]
    return sorted(str(path.relative_to(folder)) for path in found)


def test_it_keeps_a_file_and_gives_it_back(
    local: LocalStorage, sound: Path, tmp_path: Path
) -> None:
    stored = local.put(KEY, sound, content_type=MP3)
    assert (stored.key, stored.size, stored.md5) == (KEY, 300_000, md5(sound))
    assert local.stat(KEY) == stored
    back = tmp_path / "back.mp3"
    assert local.get(KEY, back).md5 == stored.md5
    assert back.read_bytes() == sound.read_bytes()
    assert files(tmp_path) == ["back.mp3", "sound.mp3", f"storage/{KEY}"]


def test_the_same_again_is_fine(local: LocalStorage, sound: Path) -> None:
    first = local.put(KEY, sound, content_type=MP3)
    assert local.put(KEY, sound, content_type=MP3) == first


def test_another_content_does_not_take_a_name(
    local: LocalStorage, sound: Path, root: Path
) -> None:
    local.put(KEY, sound, content_type=MP3)
    before = md5(root / KEY)
    sound.write_bytes(os.urandom(300_000))
    with pytest.raises(KeyTakenError) as caught:
        local.put(KEY, sound, content_type=MP3)
    assert not caught.value.retryable
    assert md5(root / KEY) == before


def test_of_many_at_once_one_gets_the_name(
    local: LocalStorage, tmp_path: Path, root: Path
) -> None:
    won: list[Path] = []
    start = threading.Barrier(8)

    def put(path: Path) -> None:
        path.write_bytes(os.urandom(100_000))
        start.wait()
        try:
            local.put(KEY, path, content_type=MP3)
        except KeyTakenError:
            return
        won.append(path)

    threads = [
        threading.Thread(target=put, args=[tmp_path / f"{n}.mp3"]) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert md5(root / KEY) == md5(won[0])


def test_what_still_grows_is_replaced(local: LocalStorage, sound: Path) -> None:
    local.replace(KEY, sound, content_type=MP3)
    with sound.open("ab") as file:
        file.write(b"more")
    assert local.replace(KEY, sound, content_type=MP3).md5 == md5(sound)
    stored = local.stat(KEY)
    assert stored
    assert stored.size == 300_004


def test_a_piece_can_be_read(local: LocalStorage, sound: Path) -> None:
    local.put(KEY, sound, content_type=MP3)
    data = sound.read_bytes()
    assert local.read(KEY, start=1000, stop=2000) == data[1000:2000]
    assert local.read(KEY, start=299_999, stop=400_000) == data[299_999:]
    assert local.read(KEY, start=300_000, stop=400_000) == b""
    assert local.read(KEY, start=5, stop=5) == b""


def test_what_is_not_there_is_said_to_be_missing(
    local: LocalStorage, sound: Path, tmp_path: Path
) -> None:
    local.put(KEY, sound, content_type=MP3)
    for missing in ("recordings/two.mp3", f"{KEY}/below.mp3", "recordings/one"):
        assert local.stat(missing) is None
        with pytest.raises(NotStoredError):
            local.get(missing, tmp_path / "x")
        with pytest.raises(NotStoredError):
            local.read(missing, start=0, stop=1)
    assert not (tmp_path / "x").exists()


def test_a_missing_source_is_the_callers_fault(local: LocalStorage) -> None:
    with pytest.raises(FileNotFoundError):
        local.put(KEY, Path("/nowhere/x.mp3"), content_type=MP3)


def test_a_listing_is_in_the_order_of_keys(local: LocalStorage, sound: Path) -> None:
    keys = ["r/a-b", "r/a.mp3", "r/a/x", "r/a0", "r/b/c/d", "s/a"]
    for key in reversed(keys):
        local.put(key, sound, content_type=MP3)
    assert keys == sorted(keys)
    assert [stored.key for stored in local.listing()] == keys
    assert [stored.key for stored in local.listing("r/a")] == keys[:4]
    assert [stored.key for stored in local.listing("r/b/")] == ["r/b/c/d"]
    assert list(local.listing("nothing/at/all")) == []
    assert {stored.size for stored in local.listing()} == {300_000}


def test_a_file_in_the_making_is_not_listed(
    local: LocalStorage, sound: Path, root: Path
) -> None:
    local.put(KEY, sound, content_type=MP3)
    (root / KEY).with_name(".a.mp3.0123.part").write_bytes(b"half")
    assert [stored.key for stored in local.listing()] == [KEY]


def test_deleting_leaves_nothing(local: LocalStorage, sound: Path, root: Path) -> None:
    local.put(KEY, sound, content_type=MP3)
    local.delete([KEY, "recordings/never/was.mp3", f"{KEY}/below"])
    assert list(root.iterdir()) == []
    local.delete([KEY])


HOSTILE = ["../x", "a/../../x", "/etc/passwd", "", "a//b", ".a", "a\0b", "a/./b"]


@pytest.mark.parametrize("key", HOSTILE)
def test_nothing_leads_out_of_the_root(
    local: LocalStorage, sound: Path, tmp_path: Path, key: str
) -> None:
    before = files(tmp_path)
    calls: list[Any] = [
        lambda: local.put(key, sound, content_type=MP3),
        lambda: local.replace(key, sound, content_type=MP3),
        lambda: local.get(key, tmp_path / "x"),
        lambda: local.read(key, start=0, stop=1),
        lambda: local.stat(key),
        lambda: local.delete([key]),
        lambda: local.link(key, expires_s=60),
    ]
    for call in calls:
        with pytest.raises(BadKeyError):
            call()
    assert files(tmp_path) == before


@pytest.mark.parametrize("prefix", ["../", "/etc", "a/../../"])
def test_no_listing_leads_out_of_the_root(local: LocalStorage, prefix: str) -> None:
    with pytest.raises(BadKeyError):
        list(local.listing(prefix))


def test_a_symbolic_link_does_not_lead_out_of_the_root(
    local: LocalStorage, sound: Path, root: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    root.mkdir()
    (root / "way").symlink_to(outside)
    with pytest.raises(NotStoredError):
        local.read("way/secret", start=0, stop=6)
    with pytest.raises(BadKeyError):
        local.put("way/new", sound, content_type=MP3)
    assert list(local.listing()) == []
    assert files(outside) == ["secret"]


# --- a full disk --------------------------------------------------------------------


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def no_space(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    yield
    monkeypatch.undo()


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_leaves_nothing_behind(
    local: LocalStorage, sound: Path, root: Path
) -> None:
    before = counted("storage_errors_total", code=FullError().code)
    with pytest.raises(FullError) as caught:
        local.put(KEY, sound, content_type=MP3)
    assert caught.value.retryable
    assert counted("storage_errors_total", code=FullError().code) == before + 1
    assert files(root) == []
    assert local.stat(KEY) is None


def test_a_disk_that_fills_while_replacing_keeps_what_was(
    local: LocalStorage, sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.replace(KEY, sound, content_type=MP3)
    before = local.stat(KEY)
    sound.write_bytes(b"new")

    def no_space(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_space)
        with pytest.raises(FullError):
            local.replace(KEY, sound, content_type=MP3)
    assert local.stat(KEY) == before


def test_a_write_the_kernel_refuses_leaves_nothing_behind(
    root: Path, sound: Path
) -> None:
    """The kernel's own limit: half of the file fits."""
    program = f"""
        import resource
        from pathlib import Path
        from sessions.storage.errors import FullError
        from sessions.storage.local import LocalStorage
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
        local = LocalStorage(Path({str(root)!r}))
        try:
            local.put({KEY!r}, Path({str(sound)!r}), content_type="audio/mpeg")
        except FullError as e:
            print(e.code)
    """
    words = [sys.executable, "-c", textwrap.dedent(program)]
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "voiceproject.settings"}
    env["DATA_DIR"] = str(root.parent / "data")
    done = subprocess.run(
        words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "storage_full", done.stderr
    assert files(root) == []


# --- links --------------------------------------------------------------------------


def test_a_link_opens_one_file_for_a_while() -> None:
    token = sign(KEY, expires_s=60, filename="Läuft.mp3", clock=lambda: 1000.0)
    linked = unsign(token, clock=lambda: 1059.0)
    assert (linked.key, linked.filename, linked.content_type) == (
        KEY,
        "Läuft.mp3",
        None,
    )


def test_an_old_link_opens_nothing() -> None:
    token = sign(KEY, expires_s=60, clock=lambda: 1000.0)
    with pytest.raises(LinkRefusedError) as caught:
        unsign(token, clock=lambda: 1060.0)
    assert caught.value.status == 403


def test_a_link_that_was_tampered_with_opens_nothing() -> None:
    token = sign(KEY, expires_s=60)
    for place in range(len(token)):
        other = "A" if token[place] != "A" else "B"
        with pytest.raises(LinkRefusedError):
            unsign(f"{token[:place]}{other}{token[place + 1 :]}")
    for nonsense in ("", "x", ":::", "ä" * 40):
        with pytest.raises(LinkRefusedError):
            unsign(nonsense)


def test_a_local_link_leads_to_this_installation(root: Path) -> None:
    link = LocalStorage(root, host="https://a.example").link(KEY, expires_s=60)
    assert link.startswith(f"https://a.example{PATH}")
    assert unsign(link.removeprefix(f"https://a.example{PATH}")).key == KEY


# --- which one, and how long --------------------------------------------------------


def test_without_a_bucket_it_is_a_folder(settings: Any, root: Path) -> None:
    settings.STORAGE_DIR = root
    assert isinstance(storage(), LocalStorage)
    assert storage() is storage()


def test_with_a_bucket_it_is_a_bucket(settings: Any) -> None:
    before = storage()
    settings.S3_BUCKET = "recordings"
    settings.S3_ACCESS_KEY_ID = settings.S3_SECRET_ACCESS_KEY = "x"
    made = storage()
    assert isinstance(made, S3Storage)
    assert storage() is made
    made.close()
    settings.S3_BUCKET = ""
    assert isinstance(before, LocalStorage)
    assert isinstance(storage(), LocalStorage)


def test_another_process_gets_a_storage_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = storage()
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert storage() is not before


def test_boto3_is_not_loaded_for_a_folder() -> None:
    program = "import sys, sessions.storage; print('boto3' in sys.modules)"
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "settings_for_tests"}
    env["PYTHONPATH"] = str(ROOT / "tests")
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == "False", done.stderr


def test_who_takes_forever_is_given_up() -> None:
    never = threading.Event()
    with pytest.raises(StorageError) as caught:
        within(0.01, never.wait)
    assert caught.value.retryable
    never.set()


def test_a_call_raises_where_it_was_asked_for() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        within(10, fail)
    assert within(10, lambda: 7) == 7


def test_all_faults_of_a_storage_are_ours() -> None:
    for error in (FullError(), KeyTakenError(), LinkRefusedError(), NotStoredError()):
        assert isinstance(error, StorageError)
        assert isinstance(error, VoiceError)
