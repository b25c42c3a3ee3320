"""Two real S3 servers and a bad road to one of them."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import bad_road
import boto3
import pytest
from bad_road import Road
from buckets import PART, Making, with_bucket
from moto_server import moto_server
from swift_server import Swift, swift_server

from sessions.storage import S3Options, S3Storage
from sessions.storage import content as contents


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture(scope="session")
def swift() -> Iterator[Swift]:
    with swift_server() as running:
        yield running


@pytest.fixture(scope="session", autouse=True)
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
        connect_timeout_s=2.0,
        read_timeout_s=2.0,
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
