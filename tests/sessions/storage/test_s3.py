"""Against real S3 servers: moto's for breadth, OpenStack Swift's for the truth."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from buckets import KEY, MP3, Making, fetched, md5

from sessions.keys import BadKeyError
from sessions.storage import (
    CredentialsError,
    KeyTakenError,
    NoBucketError,
    NotStoredError,
    S3Options,
    S3Storage,
)
from sessions.storage import content as contents
from sessions.storage import s3 as s3_module
from sessions.storage.s3client import make_client

# --- on a good day, with both -------------------------------------------------------


def test_it_keeps_a_file_and_gives_it_back(
    storage: S3Storage, sound: Path, tmp_path: Path
) -> None:
    stored = storage.put(KEY, sound, content_type=MP3)
    assert (stored.size, stored.md5) == (300_000, md5(sound.read_bytes()))
    found = storage.stat(KEY)
    assert found
    assert (found.size, found.md5) == (stored.size, stored.md5)
    assert fetched(storage, KEY, tmp_path) == sound.read_bytes()
    assert not list(tmp_path.glob(".*"))


def test_an_empty_file_is_a_file(storage: S3Storage, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert storage.put(KEY, tmp_path / "empty", content_type=MP3).size == 0
    assert fetched(storage, KEY, tmp_path) == b""
    assert storage.read(KEY, start=0, stop=10) == b""


def test_the_same_again_is_fine_and_is_not_sent(
    storage: S3Storage, sound: Path
) -> None:
    first = storage.put(KEY, sound, content_type=MP3)
    assert storage.put(KEY, sound, content_type=MP3).md5 == first.md5


def test_another_content_does_not_take_a_name(
    storage: S3Storage, sound: Path, tmp_path: Path
) -> None:
    before = sound.read_bytes()
    storage.put(KEY, sound, content_type=MP3)
    sound.write_bytes(os.urandom(300_000))
    with pytest.raises(KeyTakenError):
        storage.put(KEY, sound, content_type=MP3)
    assert fetched(storage, KEY, tmp_path) == before


def test_the_server_itself_refuses_a_taken_name(
    storage: S3Storage, sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Had another been faster between our looking and our sending."""
    before = sound.read_bytes()
    storage.put(KEY, sound, content_type=MP3)
    sound.write_bytes(os.urandom(300_000))
    look, looks = storage._find_whole, []

    def looks_away_once(*args: Any) -> Any:
        looks.append(args)
        return look(*args) if len(looks) > 1 else None

    monkeypatch.setattr(storage, "_find_whole", looks_away_once)
    with pytest.raises(KeyTakenError):
        storage.put(KEY, sound, content_type=MP3)
    assert fetched(storage, KEY, tmp_path) == before


def test_the_same_task_may_run_twice_at_once(
    storage: S3Storage, sound: Path, tmp_path: Path
) -> None:
    whole = md5(sound.read_bytes())
    with ThreadPoolExecutor(8) as pool:
        puts = [
            pool.submit(storage.put, KEY, sound, content_type=MP3) for _ in range(8)
        ]
    assert {put.result().md5 for put in puts} == {whole}
    assert fetched(storage, KEY, tmp_path) == sound.read_bytes()


def test_an_hour_goes_in_parts(storage: S3Storage, tmp_path: Path) -> None:
    path = tmp_path / "hour.mp3"
    path.write_bytes(os.urandom(contents.SINGLE_MAX + 1000))
    assert storage.put(KEY, path, content_type=MP3).size == contents.SINGLE_MAX + 1000
    assert fetched(storage, KEY, tmp_path) == path.read_bytes()
    piece = storage.read(KEY, start=contents.PART - 1, stop=contents.PART + 1)
    assert piece == path.read_bytes()[contents.PART - 1 : contents.PART + 1]


def test_a_long_file_goes_in_parts(
    storage: S3Storage, small_parts: Path, tmp_path: Path
) -> None:
    data = small_parts.read_bytes()
    stored = storage.put(KEY, small_parts, content_type=MP3)
    assert (stored.size, stored.md5) == (len(data), md5(data))
    assert fetched(storage, KEY, tmp_path) == data
    assert storage.put(KEY, small_parts, content_type=MP3).md5 == md5(data)
    small_parts.write_bytes(data[:-1] + b"x")
    with pytest.raises(KeyTakenError):
        storage.put(KEY, small_parts, content_type=MP3)


def test_what_still_grows_is_replaced(
    storage: S3Storage, sound: Path, tmp_path: Path
) -> None:
    storage.replace(KEY, sound, content_type=MP3)
    with sound.open("ab") as file:
        file.write(b"more")
    assert storage.replace(KEY, sound, content_type=MP3).size == 300_004
    assert fetched(storage, KEY, tmp_path) == sound.read_bytes()


def test_a_piece_can_be_read(storage: S3Storage, sound: Path) -> None:
    storage.put(KEY, sound, content_type=MP3)
    data = sound.read_bytes()
    assert storage.read(KEY, start=1000, stop=2000) == data[1000:2000]
    assert storage.read(KEY, start=299_999, stop=400_000) == data[299_999:]
    assert storage.read(KEY, start=300_000, stop=400_000) == b""
    assert storage.read(KEY, start=5, stop=5) == b""


def test_what_is_not_there_is_said_to_be_missing(
    storage: S3Storage, tmp_path: Path
) -> None:
    assert storage.stat(KEY) is None
    with pytest.raises(NotStoredError):
        storage.get(KEY, tmp_path / "x")
    with pytest.raises(NotStoredError):
        storage.read(KEY, start=0, stop=1)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_bucket_is_not_taken_for_an_empty_one(
    options: S3Options, making: Making, sound: Path, tmp_path: Path
) -> None:
    elsewhere = making(replace(options, bucket="not-made-by-anybody"))
    calls: list[Callable[[], object]] = [
        lambda: elsewhere.stat(KEY),
        lambda: elsewhere.put(KEY, sound, content_type=MP3),
        lambda: elsewhere.get(KEY, tmp_path / "x"),
        lambda: list(elsewhere.listing()),
    ]
    for call in calls:
        with pytest.raises(NoBucketError):
            call()


def test_all_is_listed_however_long_the_list(
    storage: S3Storage, tmp_path: Path, options: S3Options, making: Making
) -> None:
    """Swift's pages are set to five."""
    (tmp_path / "x").write_bytes(b"x")
    keys = [f"r/{number:02}.mp3" for number in range(13)]
    for key in [*keys, "s/x"]:
        storage.put(key, tmp_path / "x", content_type=MP3)
    assert [stored.key for stored in storage.listing("r/")] == keys
    assert [stored.key for stored in storage.listing()] == [*keys, "s/x"]
    assert {stored.size for stored in storage.listing()} == {1}


def test_deleting_leaves_nothing(
    storage: S3Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_module, "DELETE_MAX", 2)
    (tmp_path / "x").write_bytes(b"x")
    keys = [f"r/{number}.mp3" for number in range(5)]
    for key in keys:
        storage.put(key, tmp_path / "x", content_type=MP3)
    storage.delete([*keys[:4], "r/never-was"])
    assert [stored.key for stored in storage.listing()] == keys[4:]
    storage.delete([])


def test_a_prefix_is_a_world_of_its_own(
    options: S3Options, making: Making, sound: Path
) -> None:
    ours, theirs = making(replace(options, prefix="a/b")), making(options)
    ours.put(KEY, sound, content_type=MP3)
    assert [stored.key for stored in ours.listing()] == [KEY]
    assert [stored.key for stored in theirs.listing()] == [f"a/b/{KEY}"]
    ours.delete([KEY])
    assert list(theirs.listing()) == []
    with pytest.raises(BadKeyError):
        making(replace(options, prefix="../x"))


@pytest.mark.parametrize("key", ["../x", "/x", "", "a//b", ".a", "a\0b", "a/./b"])
def test_no_hostile_key_is_sent(
    in_moto: S3Options, making: Making, sound: Path, tmp_path: Path, key: str
) -> None:
    storage = making(in_moto)
    calls: list[Callable[[], object]] = [
        lambda: storage.put(key, sound, content_type=MP3),
        lambda: storage.replace(key, sound, content_type=MP3),
        lambda: storage.get(key, tmp_path / "x"),
        lambda: storage.read(key, start=0, stop=1),
        lambda: storage.stat(key),
        lambda: storage.delete([key]),
        lambda: storage.link(key, expires_s=60),
    ]
    for call in calls:
        with pytest.raises(BadKeyError):
            call()


def test_the_older_checksums_do_too(
    options: S3Options, making: Making, sound: Path, tmp_path: Path
) -> None:
    storage = making(replace(options, checksums="when_required"))
    storage.put(KEY, sound, content_type=MP3)
    assert fetched(storage, KEY, tmp_path) == sound.read_bytes()
    storage.delete([KEY])
    assert storage.stat(KEY) is None


@pytest.mark.parametrize("sse", ["AES256", "aws:kms"])
def test_encryption_is_asked_for(
    in_moto: S3Options, making: Making, sound: Path, sse: str
) -> None:
    """With KMS the ETag proves nothing: the object is read back."""
    storage = making(replace(in_moto, sse=sse))
    assert storage.put(KEY, sound, content_type=MP3).md5 == md5(sound.read_bytes())
    client = make_client(in_moto)
    head = client.head_object(Bucket=in_moto.bucket, Key=KEY)
    client.close()
    assert head["ServerSideEncryption"] == sse
    assert head["ContentType"] == MP3


# --- keys and links, with the one that looks at signatures --------------------------


def test_wrong_keys_are_said_to_be_wrong(
    in_swift: S3Options, making: Making, sound: Path, tmp_path: Path
) -> None:
    storage = making(replace(in_swift, secret_access_key="another"))
    calls: list[Callable[[], object]] = [
        lambda: storage.stat(KEY),
        lambda: storage.put(KEY, sound, content_type=MP3),
        lambda: storage.replace(KEY, sound, content_type=MP3),
        lambda: storage.get(KEY, tmp_path / "x"),
        lambda: list(storage.listing()),
        lambda: storage.delete([KEY]),
    ]
    for call in calls:
        with pytest.raises(CredentialsError) as caught:
            call()
        assert caught.value.code == "storage_credentials"
        assert caught.value.retryable
        assert "another" not in caught.value.message


def curl(address: str) -> tuple[int, bytes, str]:
    """Status, body and headers, as somebody with a link sees them."""
    words = ["curl", "-s", "-i", "--max-time", "20", address]
    done = subprocess.run(words, capture_output=True, check=True, timeout=30)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    return int(head.split()[1]), body, head.decode("latin-1").lower()


def test_a_link_works_with_curl(
    in_swift: S3Options, making: Making, sound: Path
) -> None:
    storage = making(in_swift)
    storage.put(KEY, sound, content_type=MP3)
    link = storage.link(
        KEY, expires_s=60, filename="Läuft.mp3", content_type="audio/x-test"
    )
    status, body, head = curl(link)
    assert (status, body) == (200, sound.read_bytes())
    assert "filename*=utf-8''l%c3%a4uft.mp3" in head
    assert "content-type: audio/x-test" in head


def test_a_link_that_was_tampered_with_is_refused(
    in_swift: S3Options, making: Making, sound: Path
) -> None:
    storage = making(in_swift)
    storage.put(KEY, sound, content_type=MP3)
    storage.put("recordings/two.mp3", sound, content_type=MP3)
    link = storage.link(KEY, expires_s=60)
    assert curl(link.replace(KEY, "recordings/two.mp3"))[0] == 403
    assert curl(link.replace("X-Amz-Expires=60", "X-Amz-Expires=6000"))[0] == 403
    assert curl(link[:-1] + ("0" if link[-1] != "0" else "1"))[0] == 403
    assert curl(link)[0] == 200


def test_an_old_link_is_refused(
    in_swift: S3Options,
    making: Making,
    sound: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import botocore.auth  # type: ignore[import-untyped]

    storage = making(in_swift)
    storage.put(KEY, sound, content_type=MP3)

    def an_hour_ago(**_: object) -> datetime:
        return datetime.now(UTC) - timedelta(hours=1)

    with monkeypatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", an_hour_ago)
        old = storage.link(KEY, expires_s=3500)
        good = storage.link(KEY, expires_s=3700)
    assert curl(old)[0] == 403
    assert curl(good)[0] == 200


def test_a_link_lasts_a_week_at_most(in_moto: S3Options, making: Making) -> None:
    link = making(in_moto).link(KEY, expires_s=10**9)
    assert "X-Amz-Expires=604800" in link


def test_a_link_of_moto_works_too(
    in_moto: S3Options, making: Making, sound: Path
) -> None:
    storage = making(in_moto)
    storage.put(KEY, sound, content_type=MP3)
    with urlopen(storage.link(KEY, expires_s=60)) as answer:
        assert answer.read() == sound.read_bytes()
    with pytest.raises(HTTPError), urlopen(storage.link("not/there", expires_s=60)):
        pass
