"""Against real S3 servers: moto's for breadth, OpenStack Swift's for the truth."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import bad_road
import boto3
import pytest
from bad_road import Exchange, Fault, Request, Road, says
from moto.server import ThreadedMotoServer
from swift_server import Swift, swift_server

from sessions.keys import BadKeyError
from sessions.storage import (
    CredentialsError,
    DamagedError,
    FullError,
    KeyTakenError,
    NoBucketError,
    NotStoredError,
    RefusedError,
    S3Options,
    S3Storage,
    StorageError,
    UnreachableError,
)
from sessions.storage import content as contents
from sessions.storage import s3 as s3_module
from sessions.storage.s3client import make_client

MP3 = "audio/mpeg"
KEY = "recordings/one/chunks/a.mp3"
BUCKET = "recordings"
PART = 64 * 1024
Making = Callable[[S3Options], S3Storage]


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
    assert server._server
    server._server.server_close()


@pytest.fixture(scope="module")
def swift() -> Iterator[Swift]:
    with swift_server() as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def _one_session() -> Iterator[None]:
    """Each session of boto3 reads a megabyte of descriptions anew."""
    session = boto3.session.Session()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boto3.session, "Session", lambda: session)
        yield


@pytest.fixture
def making() -> Iterator[Making]:
    """Make storages that are closed at the end."""
    made: list[S3Storage] = []

    def make(options: S3Options) -> S3Storage:
        made.append(S3Storage(options))
        return made[-1]

    yield make
    for thread in threading.enumerate():
        if thread.name == "storage":  # given up, but not over
            thread.join(10)
    for storage in made:
        storage.close()


def with_bucket(options: S3Options) -> S3Options:
    """The options, with a bucket of that name, emptied."""
    client = make_client(options)
    try:
        client.create_bucket(Bucket=options.bucket)
    finally:
        client.close()
    return options


@pytest.fixture
def in_moto(moto: str, request: pytest.FixtureRequest) -> S3Options:
    name = hashlib.md5(request.node.name.encode()).hexdigest()
    return with_bucket(
        S3Options(
            bucket=f"b-{name}",
            endpoint_url=moto,
            access_key_id="a",
            secret_access_key="b",
            addressing_style="path",
        )
    )


@pytest.fixture
def in_swift(swift: Swift, request: pytest.FixtureRequest) -> S3Options:
    name = hashlib.md5(request.node.name.encode()).hexdigest()
    return with_bucket(
        S3Options(
            bucket=f"b-{name}",
            region=swift.region,
            endpoint_url=swift.url,
            access_key_id=swift.access_key,
            secret_access_key=swift.secret_key,
            addressing_style="path",
        )
    )


@pytest.fixture(params=["in_moto", "in_swift"])
def options(request: pytest.FixtureRequest) -> S3Options:
    """Both servers, one after the other."""
    chosen: S3Options = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture
def storage(options: S3Options, making: Making) -> S3Storage:
    return making(options)


@pytest.fixture
def road(in_moto: S3Options, making: Making) -> Iterator[Road]:
    """It ends before what is made, so that nothing is held up on it."""
    with bad_road.bad_road(in_moto.endpoint_url) as there:
        yield there


@pytest.fixture
def hurried(in_moto: S3Options, road: Road) -> S3Options:
    """By the bad road, without patience: a call is tried once."""
    return replace(
        in_moto,
        endpoint_url=road.url,
        attempts=1,
        connect_timeout_s=0.5,
        read_timeout_s=0.5,
        slowest_bytes_s=10**6,
    )


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "sound.mp3"
    path.write_bytes(os.urandom(300_000))
    return path


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file of three parts, the last one shorter; and servers that take such parts."""
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1)
    monkeypatch.setattr(contents, "SINGLE_MAX", PART)
    monkeypatch.setattr(contents, "PART", PART)
    path = tmp_path / "long.mp3"
    path.write_bytes(os.urandom(2 * PART + 1000))
    return path


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def fetched(storage: S3Storage, key: str, tmp_path: Path) -> bytes:
    target = tmp_path / "fetched"
    storage.get(key, target)
    return target.read_bytes()


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


def test_swift_itself_refuses_what_broke_off(
    in_swift: S3Options, making: Making, sound: Path, tmp_path: Path
) -> None:
    with bad_road.bad_road(in_swift.endpoint_url) as road:
        storage = making(replace(in_swift, endpoint_url=road.url, attempts=1))
        for fault in (
            bad_road.breaks_off_upstream,
            bad_road.stores_half,
            bad_road.stores_a_wrong_byte,
        ):
            road.once(fault, method="PUT")
            with pytest.raises(StorageError) as caught:
                storage.put(KEY, sound, content_type=MP3)
            assert caught.value.retryable
        storage.put(KEY, sound, content_type=MP3)
        assert fetched(storage, KEY, tmp_path) == sound.read_bytes()


# --- on a bad road ------------------------------------------------------------------

BAD_UPLOADS: list[tuple[Fault, type[StorageError]]] = [
    (says(503, "SlowDown"), UnreachableError),
    (says(500, "InternalError"), UnreachableError),
    (says(507, "InsufficientStorage"), FullError),
    (says(403, "AccessDenied"), CredentialsError),
    (says(400, "ExpiredToken"), CredentialsError),
    (says(403, "RequestTimeTooSkewed"), CredentialsError),
    (says(404, "NoSuchBucket"), NoBucketError),
    (says(400, "InvalidStorageClass"), RefusedError),
    (says(400, "BadDigest"), DamagedError),
    (bad_road.resets_in_mid_body, UnreachableError),
    (bad_road.loses_the_answer, UnreachableError),
    (bad_road.stores_half, DamagedError),
    (bad_road.stores_half_and_resets, UnreachableError),
    (bad_road.stores_a_wrong_byte, DamagedError),
    (bad_road.stores_nothing, DamagedError),
    (bad_road.hangs, UnreachableError),
    (bad_road.drips, UnreachableError),
]


@pytest.mark.parametrize(("fault", "error"), BAD_UPLOADS)
def test_a_bad_upload_is_told_and_the_next_one_heals_it(
    hurried: S3Options,
    in_moto: S3Options,
    making: Making,
    road: Road,
    sound: Path,
    tmp_path: Path,
    fault: Fault,
    error: type[StorageError],
) -> None:
    storage = making(hurried)
    road.once(fault, method="PUT")
    with pytest.raises(error) as caught:
        storage.put(KEY, sound, content_type=MP3)
    assert caught.value.retryable
    stored = storage.put(KEY, sound, content_type=MP3)
    assert stored.md5 == md5(sound.read_bytes())
    assert fetched(making(in_moto), KEY, tmp_path) == sound.read_bytes()


@pytest.mark.parametrize("fault", [bad_road.stores_half, bad_road.stores_a_wrong_byte])
def test_what_came_to_lie_there_damaged_is_taken_away(
    hurried: S3Options, making: Making, road: Road, sound: Path, fault: Fault
) -> None:
    storage = making(hurried)
    road.once(fault, method="PUT")
    with pytest.raises(DamagedError):
        storage.put(KEY, sound, content_type=MP3)
    assert storage.stat(KEY) is None


@pytest.mark.parametrize(
    "fault",
    [
        says(503, "SlowDown"),
        bad_road.stores_half,
        bad_road.stores_a_wrong_byte,
        bad_road.resets_in_mid_body,
        bad_road.loses_the_answer,
    ],
)
@pytest.mark.parametrize("part", [1, 2, 3])
def test_a_bad_part_spoils_nothing(
    hurried: S3Options,
    in_moto: S3Options,
    making: Making,
    road: Road,
    small_parts: Path,
    tmp_path: Path,
    part: int,
    fault: Fault,
) -> None:
    storage = making(hurried)
    road.chooser = lambda request: (
        fault if f"partNumber={part}" in request.target else None
    )
    with pytest.raises(StorageError) as caught:
        storage.put(KEY, small_parts, content_type=MP3)
    assert caught.value.retryable
    assert storage.stat(KEY) is None
    client = make_client(in_moto)
    open_uploads = client.list_multipart_uploads(Bucket=in_moto.bucket)
    client.close()
    assert not open_uploads.get("Uploads")
    road.chooser = lambda _: None
    storage.put(KEY, small_parts, content_type=MP3)
    assert fetched(making(in_moto), KEY, tmp_path) == small_parts.read_bytes()


def test_a_lost_answer_to_the_last_word_is_no_loss(
    hurried: S3Options, making: Making, road: Road, small_parts: Path, tmp_path: Path
) -> None:
    storage = making(replace(hurried, attempts=3))
    lost: list[Request] = []

    def choose(request: Request) -> Fault | None:
        if request.method != "POST" or "uploadId" not in request.target or lost:
            return None
        lost.append(request)
        return bad_road.loses_the_answer

    road.chooser = choose
    stored = storage.put(KEY, small_parts, content_type=MP3)
    assert lost
    assert stored.md5 == md5(small_parts.read_bytes())
    assert fetched(storage, KEY, tmp_path) == small_parts.read_bytes()


def test_boto3_tries_again_by_itself(
    hurried: S3Options, making: Making, road: Road, sound: Path
) -> None:
    storage = making(replace(hurried, attempts=3))
    road.once(bad_road.loses_the_answer, method="PUT", times=2)
    assert storage.put(KEY, sound, content_type=MP3).size == 300_000
    assert road.count("PUT") == 3


@pytest.mark.parametrize(
    "fault",
    [
        says(503, "SlowDown"),
        bad_road.answers_half,
        bad_road.answers_half_and_closes,
        bad_road.answers_a_wrong_byte,
        bad_road.stores_nothing,
        bad_road.hangs,
        bad_road.drips,
        bad_road.drips_the_body,
    ],
)
def test_a_bad_download_leaves_no_file(
    hurried: S3Options,
    making: Making,
    road: Road,
    sound: Path,
    tmp_path: Path,
    fault: Fault,
) -> None:
    storage = making(hurried)
    storage.put(KEY, sound, content_type=MP3)
    road.always(fault)
    target = tmp_path / "target"
    with pytest.raises(StorageError) as caught:
        storage.get(KEY, target)
    assert caught.value.retryable
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sound.mp3"]
    road.chooser = lambda _: None
    storage.get(KEY, target)
    assert target.read_bytes() == sound.read_bytes()


def test_a_download_without_checksums_of_boto3s_is_checked_by_ours(
    hurried: S3Options, making: Making, road: Road, sound: Path, tmp_path: Path
) -> None:
    storage = making(replace(hurried, checksums="when_required"))
    storage.put(KEY, sound, content_type=MP3)
    road.always(bad_road.answers_a_wrong_byte)
    with pytest.raises(DamagedError):
        storage.get(KEY, tmp_path / "target")


@pytest.mark.parametrize(
    "fault",
    [
        bad_road.answers_half,
        bad_road.answers_half_and_closes,
        bad_road.stores_nothing,
    ],
)
def test_a_piece_that_broke_off_is_not_taken_for_the_end(
    hurried: S3Options, making: Making, road: Road, sound: Path, fault: Fault
) -> None:
    storage = making(hurried)
    storage.put(KEY, sound, content_type=MP3)
    road.always(fault)
    with pytest.raises(StorageError):
        storage.read(KEY, start=0, stop=1000)


@pytest.mark.parametrize(
    "fault",
    [
        says(503, "SlowDown"),
        bad_road.answers_half_and_closes,
        bad_road.answers_half,
        bad_road.stores_nothing,
    ],
)
def test_a_listing_that_broke_off_is_not_taken_for_the_whole(
    hurried: S3Options, making: Making, road: Road, sound: Path, fault: Fault
) -> None:
    storage = making(hurried)
    storage.put(KEY, sound, content_type=MP3)
    road.always(fault)
    with pytest.raises(UnreachableError):
        list(storage.listing())


def test_a_full_disk_here_leaves_no_file(
    in_moto: S3Options,
    making: Making,
    sound: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    storage = making(in_moto)
    storage.put(KEY, sound, content_type=MP3)

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(FullError):
        storage.get(KEY, tmp_path / "target")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sound.mp3"]


def test_nobody_there_is_told_soon(making: Making, sound: Path) -> None:
    with bad_road.bad_road("http://127.0.0.1:1") as road:
        nowhere = road.url
    storage = making(
        S3Options(
            bucket=BUCKET,
            endpoint_url=nowhere,
            access_key_id="a",
            secret_access_key="b",
            attempts=1,
        )
    )
    with pytest.raises(UnreachableError):
        storage.put(KEY, sound, content_type=MP3)


def test_an_answer_of_somebody_else_is_not_taken_for_an_object(
    hurried: S3Options, making: Making, road: Road, sound: Path
) -> None:
    """A proxy that says 200 to everything: no name is taken there, nothing missing."""
    storage = making(hurried)
    road.always(bad_road.stores_nothing)
    with pytest.raises(UnreachableError):
        storage.stat(KEY)
    with pytest.raises(UnreachableError):
        storage.put(KEY, sound, content_type=MP3)


# --- servers that know less ---------------------------------------------------------


def test_a_server_without_conditions_still_overwrites_nothing(
    hurried: S3Options, making: Making, road: Road, sound: Path, tmp_path: Path
) -> None:
    storage = making(hurried)
    road.chooser = lambda request: (
        says(501, "NotImplemented") if request.header("If-None-Match") else None
    )
    before = sound.read_bytes()
    storage.put(KEY, sound, content_type=MP3)
    sound.write_bytes(b"another")
    with pytest.raises(KeyTakenError):
        storage.put(KEY, sound, content_type=MP3)
    assert fetched(storage, KEY, tmp_path) == before


def test_a_server_without_conditions_takes_parts(
    hurried: S3Options, making: Making, road: Road, small_parts: Path, tmp_path: Path
) -> None:
    storage = making(hurried)
    road.chooser = lambda request: (
        says(501, "NotImplemented") if request.header("If-None-Match") else None
    )
    storage.put(KEY, small_parts, content_type=MP3)
    assert fetched(storage, KEY, tmp_path) == small_parts.read_bytes()
    assert sum("partNumber" in request.target for request in road.seen) == 3


def test_a_server_that_wants_other_checksums_deletes_one_by_one(
    hurried: S3Options, making: Making, road: Road, sound: Path
) -> None:
    storage = making(hurried)
    storage.put(KEY, sound, content_type=MP3)
    road.once(says(400, "MissingContentMD5"), method="POST")
    storage.delete([KEY, "recordings/never-was"])
    assert storage.stat(KEY) is None
    assert road.count("DELETE") == 2


def test_a_server_with_etags_of_its_own_is_read_back(
    hurried: S3Options, making: Making, road: Road, sound: Path
) -> None:
    def other_etag(exchange: Exchange) -> None:
        answer = exchange.forward()
        exchange.answer(
            answer.replace(f'"{md5(sound.read_bytes())}"'.encode(), b'"0123"')
        )

    storage = making(hurried)
    road.chooser = lambda request: other_etag if request.method == "HEAD" else None
    storage.put(KEY, sound, content_type=MP3)
    assert road.count("GET") == 1


# --- all at once --------------------------------------------------------------------


def test_through_any_trouble_nothing_is_lost_and_nothing_bad_is_accepted(
    hurried: S3Options, in_moto: S3Options, making: Making, road: Road, tmp_path: Path
) -> None:
    """Every second request meets a fault; who uploads just tries again."""
    chance = random.Random(7)
    faults = [fault for fault, _ in BAD_UPLOADS] + [
        bad_road.answers_half,
        bad_road.answers_a_wrong_byte,
    ]
    slow = {bad_road.hangs, bad_road.drips}
    storage, truth = making(replace(hurried, read_timeout_s=0.2)), making(in_moto)

    def choose(request: Request) -> Fault | None:
        fault = chance.choice(faults)
        usual = fault not in slow or chance.random() < 0.1
        return fault if usual and chance.random() < 0.5 else None

    road.chooser = choose
    sent, refused, permanent = {}, 0, 0
    for number in range(40):
        path, key = tmp_path / f"{number}.mp3", f"recordings/{number}.mp3"
        path.write_bytes(chance.randbytes(chance.randrange(1, 50_000)))
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                stored = storage.put(key, path, content_type=MP3)
            except StorageError as e:
                permanent += not e.retryable
                refused += 1
                continue
            assert stored.md5 == md5(path.read_bytes())
            break
        assert fetched(truth, key, tmp_path) == path.read_bytes()
        sent[key] = path.stat().st_size
    assert {stored.key: stored.size for stored in truth.listing()} == sent
    assert refused > 40
    assert not permanent


def test_a_link_of_moto_works_too(
    in_moto: S3Options, making: Making, sound: Path
) -> None:
    storage = making(in_moto)
    storage.put(KEY, sound, content_type=MP3)
    with urlopen(storage.link(KEY, expires_s=60)) as answer:
        assert answer.read() == sound.read_bytes()
    with pytest.raises(HTTPError), urlopen(storage.link("not/there", expires_s=60)):
        pass
