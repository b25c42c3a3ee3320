"""What goes wrong between us and a server, and servers that are not what they seem."""

from __future__ import annotations

import os
import random
import time
from dataclasses import replace
from pathlib import Path

import bad_road
import pytest
from bad_road import Exchange, Fault, Request, Road, says
from buckets import KEY, MP3, Making, fetched, md5

from sessions.storage import (
    CredentialsError,
    DamagedError,
    FullError,
    KeyTakenError,
    NoBucketError,
    RefusedError,
    S3Options,
    StorageError,
    UnreachableError,
)
from sessions.storage.s3client import make_client

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
    patient = making(replace(hurried, read_timeout_s=10.0))
    road.chooser = lambda _: None
    assert patient.stat(KEY) is None
    client = make_client(in_moto)
    open_uploads = client.list_multipart_uploads(Bucket=in_moto.bucket)
    client.close()
    assert not open_uploads.get("Uploads")
    patient.put(KEY, small_parts, content_type=MP3)
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


@pytest.mark.parametrize("endpoint_url", ["s3.example.org", "http://", "http:// x"])
def test_an_endpoint_that_is_no_address_is_told(
    making: Making, endpoint_url: str
) -> None:
    options = S3Options(
        bucket="recordings",
        endpoint_url=endpoint_url,
        access_key_id="a",
        secret_access_key="b",
    )
    with pytest.raises(RefusedError):
        making(options)


def test_nobody_there_is_told_soon(making: Making, sound: Path) -> None:
    with bad_road.bad_road("http://127.0.0.1:1") as road:
        nowhere = road.url
    storage = making(
        S3Options(
            bucket="recordings",
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
