"""Buckets on test servers, and what comes out of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from sessions.storage import S3Options, S3Storage
from sessions.storage.s3client import make_client

MP3 = "audio/mpeg"
KEY = "recordings/one/chunks/a.mp3"
PART = 64 * 1024
Making = Callable[[S3Options], S3Storage]


def with_bucket(options: S3Options) -> S3Options:
    """The options, with a bucket of that name, emptied."""
    client = make_client(options)
    try:
        client.create_bucket(Bucket=options.bucket)
    finally:
        client.close()
    return options


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def fetched(storage: S3Storage, key: str, tmp_path: Path) -> bytes:
    target = tmp_path / "fetched"
    storage.get(key, target)
    return target.read_bytes()
