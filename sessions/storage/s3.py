"""Storage in a bucket of anything that speaks S3.

Nothing is believed: after each upload the object's size and checksum are asked for,
since some servers store what arrived before the connection broke.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.utils.http import content_disposition_header

from sessions import keys as names
from sessions.storage.bucket import Bucket, blocks, claim, etag, is_kms, md5, told
from sessions.storage.content import Content, content
from sessions.storage.draft import draft, sync, sync_folder
from sessions.storage.errors import (
    DamagedError,
    KeyTakenError,
    NotStoredError,
    RefusedError,
    of_disk,
)
from sessions.storage.port import Stored
from sessions.storage.s3client import S3Options, translated
from sessions.storage.upload import UNCONDITIONAL, send

LINK_MAX_S = 7 * 24 * 3600
"""What Signature Version 4 allows."""
DELETE_MAX = 1000
"""Keys of one DeleteObjects."""
# How servers say that they want other checksums with DeleteObjects than boto3 sends.
ONE_BY_ONE = UNCONDITIONAL | {"MissingContentMD5", "MissingDigest"}


class S3Storage:
    """See Storage: the objects of one bucket below one prefix."""

    def __init__(self, options: S3Options) -> None:
        self._bucket = Bucket(options)

    def make(self) -> bool:
        """Make the bucket where there is none; whether it was made."""
        return self._bucket.make()

    def put(self, key: str, path: Path, *, content_type: str) -> Stored:
        wanted = content(path)
        # Looking first spares the body, and is the only guard with servers that know
        # no conditional writes.
        if found := self._find_whole(key, wanted):
            return found
        try:
            send(
                self._bucket,
                key,
                path,
                wanted,
                content_type=content_type,
                only_new=True,
            )
        except (KeyTakenError, NotStoredError):
            # Another was faster, or this was stored and its answer got lost.
            if found := self._find_whole(key, wanted):
                return found
            raise DamagedError("it is gone again") from None
        if found := self._find_whole(key, wanted):
            return found
        raise DamagedError("what was stored was not what was sent")

    def replace(self, key: str, path: Path, *, content_type: str) -> Stored:
        wanted = content(path)
        send(self._bucket, key, path, wanted, content_type=content_type, only_new=False)
        head = self._bucket.head(key)
        if not head or not self._is(head, key, wanted):
            # Not taken away: a part of what is there is more than nothing.
            raise DamagedError("what was stored was not what was sent")
        return Stored(key, wanted.size, wanted.md5, head.get("LastModified"))

    def get(self, key: str, path: Path) -> Stored:
        answer = self._bucket.do(lambda: self._bucket.open(key))
        size = int(answer["ContentLength"])
        digest = hashlib.md5(usedforsecurity=False)
        try:
            with draft(path) as (whole, file):

                def fetch() -> None:
                    for block in blocks(answer["Body"]):
                        digest.update(block)
                        file.write(block)

                self._bucket.do(fetch, size=size)
                found = digest.hexdigest()
                if file.tell() != size or found != (claim(answer) or found):
                    raise DamagedError("what came was not what was stored")
                sync(file)
                whole.replace(path)
                sync_folder(path.parent)
        except OSError as e:
            raise of_disk(e) from e
        return Stored(key, size, found, answer.get("LastModified"))

    def read(self, key: str, *, start: int, stop: int) -> bytes:
        if stop <= start:
            return b""
        span = f"bytes={start}-{stop - 1}"

        def fetch() -> bytes:
            answer = self._bucket.open(key, Range=span)
            data = b"".join(blocks(answer["Body"]))
            if "ContentRange" not in answer:  # some servers send it all
                return data[start:stop]
            total = answer["ContentRange"].rpartition("/")[2]
            if total.isdigit() and len(data) != min(stop, int(total)) - start:
                raise DamagedError("another piece came than was asked for")
            return data

        try:
            return self._bucket.do(fetch, size=stop - start)
        except RefusedError as e:
            if e.reason in {"InvalidRange", "status 416"}:
                return b""
            raise

    def stat(self, key: str) -> Stored | None:
        head = self._bucket.head(key)
        if head is None:
            self._bucket.must_exist()
            return None
        return Stored(key, head["ContentLength"], md5(head), head.get("LastModified"))

    def listing(self, prefix: str = "") -> Iterator[Stored]:
        bucket = self._bucket
        where = {"Bucket": bucket.name, "Prefix": f"{bucket.prefix}{prefix}"}
        while True:
            page = bucket.do(lambda: bucket.client.list_objects_v2(**where))
            is_cut = told(page, "IsTruncated")
            for entry in page.get("Contents", []):
                key = entry["Key"].removeprefix(bucket.prefix)
                if names.is_key(key):
                    yield Stored(key, entry["Size"], "", entry.get("LastModified"))
            if not is_cut:
                return
            if not page.get("NextContinuationToken"):
                raise RefusedError("to list everything")
            where["ContinuationToken"] = page["NextContinuationToken"]

    def delete(self, keys: Iterable[str]) -> None:
        left = [self._bucket.at(key)["Key"] for key in keys]
        while left:
            batch, left = left[:DELETE_MAX], left[DELETE_MAX:]
            try:
                self._delete(batch)
            except RefusedError as e:
                if e.reason not in ONE_BY_ONE:
                    raise
                for name in batch:
                    self._bucket.delete(name)

    def link(
        self,
        key: str,
        *,
        expires_s: int,
        filename: str | None = None,
        content_type: str | None = None,
    ) -> str:
        wanted: dict[str, Any] = self._bucket.at(key)
        if filename:
            wanted["ResponseContentDisposition"] = content_disposition_header(
                as_attachment=True, filename=filename
            )
        if content_type:
            wanted["ResponseContentType"] = content_type
        with translated():
            address: str = self._bucket.client.generate_presigned_url(
                "get_object", Params=wanted, ExpiresIn=min(expires_s, LINK_MAX_S)
            )
        return address

    def close(self) -> None:
        self._bucket.client.close()

    def _find_whole(self, key: str, wanted: Content) -> Stored | None:
        """The object, if it is what we want; what is there of ours damaged is deleted.

        Raises KeyTakenError when something else is there.
        """
        head = self._bucket.head(key)
        if not head:
            return None
        if self._is(head, key, wanted):
            return Stored(key, wanted.size, wanted.md5, head.get("LastModified"))
        if claim(head) != wanted.md5:
            raise KeyTakenError
        self._bucket.delete(self._bucket.at(key)["Key"])
        return None

    def _is(self, head: dict[str, Any], key: str, wanted: Content) -> bool:
        """Whether what is stored is `wanted`: by its ETag, else by reading it back.

        An ETag is the MD5 with most servers, but not with KMS, and not everywhere.
        """
        if head["ContentLength"] != wanted.size:
            return False
        if not is_kms(head) and etag(head) == wanted.etag:
            return True

        def read_back() -> str:
            digest = hashlib.md5(usedforsecurity=False)
            for block in blocks(self._bucket.open(key)["Body"]):
                digest.update(block)
            return digest.hexdigest()

        try:
            return self._bucket.do(read_back, size=wanted.size) == wanted.md5
        except DamagedError:  # by the server's own checksum
            return False

    def _delete(self, batch: list[str]) -> None:
        named = {"Objects": [{"Key": name} for name in batch], "Quiet": True}
        where = {"Bucket": self._bucket.name, "Delete": named}
        answer = self._bucket.do(lambda: self._bucket.client.delete_objects(**where))
        for error in answer.get("Errors", []):
            # Asked alone it gets an answer of its own, and that an error of ours.
            self._bucket.delete(error["Key"])
