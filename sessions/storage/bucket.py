"""One bucket and what every call to it has in common: names, bounds, and our errors."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from sessions import keys, measures
from sessions.storage.errors import (
    NoBucketError,
    NotStoredError,
    StorageError,
    UnreachableError,
)
from sessions.storage.patience import within
from sessions.storage.s3client import S3Options, make_client, translated

T = TypeVar("T")
BLOCK = 64 * 1024
CLAIM = "md5"
"""The metadata that says what an object was to be; what it is may be another thing."""
PLAIN_MD5 = re.compile(r"[0-9a-f]{32}")


class Bucket:
    """The objects of one bucket below one prefix."""

    def __init__(self, options: S3Options) -> None:
        self.options = options
        self.name = options.bucket
        self.prefix = options.prefix.strip("/")
        if self.prefix:
            self.prefix = f"{keys.check(self.prefix)}/"
        with translated():
            self.client = make_client(options)

    def at(self, key: str) -> dict[str, Any]:
        """The arguments that say which object is meant."""
        return {"Bucket": self.name, "Key": f"{self.prefix}{keys.check(key)}"}

    def do(self, work: Callable[[], T], *, size: int = 0) -> T:
        """Run a call that moves `size` bytes, within bounds, its errors being ours."""

        def run() -> T:
            with translated():
                return work()

        try:
            return within(self.options.patience_s(size), run)
        except StorageError as e:
            if e.retryable:  # the others are answers
                measures.STORAGE_ERRORS.labels(e.code).inc()
            raise

    def head(self, key: str) -> dict[str, Any] | None:
        """What the server says of an object; None when there is none, or no bucket."""
        where = self.at(key)
        try:
            head: dict[str, Any] = self.do(lambda: self.client.head_object(**where))
        except NotStoredError:
            return None
        told(head, "ETag")
        return head

    def open(self, key: str, **more: Any) -> dict[str, Any]:
        """The answer to a GET; to be called, and its Body read, inside of `do`."""
        answer: dict[str, Any] = self.client.get_object(**self.at(key), **more)
        try:
            told(answer, "ETag")
            told(answer, "ContentLength")
        except UnreachableError:
            answer["Body"].close()
            raise
        return answer

    def delete(self, name: str) -> None:
        """Take one object away, by its name in the bucket."""
        with contextlib.suppress(NotStoredError):
            self.do(lambda: self.client.delete_object(Bucket=self.name, Key=name))

    def must_exist(self) -> None:
        """Raises NoBucketError: asked for an object, a server may not tell which."""
        try:
            self.do(lambda: self.client.head_bucket(Bucket=self.name))
        except NotStoredError as e:
            raise NoBucketError from e

    def make(self) -> bool:
        """Make it where there is none; whether it was made. Raises StorageError."""
        try:
            self.must_exist()
        except NoBucketError:
            where = self.options.region
            more: dict[str, Any] = {}
            if where != "us-east-1":  # Amazon's first takes no name
                more["CreateBucketConfiguration"] = {"LocationConstraint": where}
            self.do(lambda: self.client.create_bucket(Bucket=self.name, **more))
            return True
        return False


def blocks(body: Any) -> Iterator[bytes]:
    """All of a body. botocore raises when it is shorter than was announced."""
    try:
        while block := body.read(BLOCK):
            yield block
    finally:
        body.close()


def told(answer: dict[str, Any], name: str) -> Any:
    """A part of an answer without which it is none of S3's: somebody else's 200."""
    if name not in answer:
        raise UnreachableError("its answer makes no sense")
    return answer[name]


def etag(head: dict[str, Any]) -> str:
    return str(head.get("ETag", "")).strip('"').lower()


def is_kms(head: dict[str, Any]) -> bool:
    return str(head.get("ServerSideEncryption", "")).startswith("aws:kms")


def md5(head: dict[str, Any]) -> str:
    """The MD5 of what is stored, where the server tells it; else ""."""
    found = etag(head)
    return found if PLAIN_MD5.fullmatch(found) and not is_kms(head) else ""


def claim(head: dict[str, Any]) -> str:
    """The MD5 of what was to be stored; "" for what others stored."""
    about = {name.lower(): value for name, value in head.get("Metadata", {}).items()}
    return str(about.get(CLAIM, ""))
