"""Sending a file to a bucket, in one piece or in parts, and never over another."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sessions.storage import content
from sessions.storage.bucket import CLAIM, Bucket, told
from sessions.storage.content import Content
from sessions.storage.errors import RefusedError, StorageError

# How servers say that they know no conditional writes.
UNCONDITIONAL = frozenset({"NotImplemented", "InvalidArgument", "InvalidRequest"})


def send(
    bucket: Bucket,
    key: str,
    path: Path,
    wanted: Content,
    *,
    content_type: str,
    only_new: bool,
) -> None:
    """Upload the bytes that `wanted` tells of: the first of the file.

    Raises KeyTakenError when there is such an object and `only_new` is set; servers
    without conditional writes do not tell, so look before.
    """
    options = bucket.options
    about = {
        "ServerSideEncryption": options.sse,
        "SSEKMSKeyId": options.sse_kms_key_id,
        "ContentType": content_type,
    }
    request = bucket.at(key) | {name: value for name, value in about.items() if value}
    request["Metadata"] = {CLAIM: wanted.md5}
    if wanted.is_parted:
        _in_parts(bucket, path, wanted, request, only_new=only_new)
    else:
        _at_once(bucket, path, wanted, request, only_new=only_new)


def _at_once(
    bucket: Bucket,
    path: Path,
    wanted: Content,
    request: dict[str, Any],
    *,
    only_new: bool,
) -> None:
    body = b"".join(content.pieces(path, size=wanted.size, piece=content.BLOCK))
    request = request | {"Body": body, "ContentMD5": content.header(body)}
    put = bucket.client.put_object
    _finish(bucket, lambda **more: put(**request, **more), wanted, only_new=only_new)


def _in_parts(
    bucket: Bucket,
    path: Path,
    wanted: Content,
    request: dict[str, Any],
    *,
    only_new: bool,
) -> None:
    begun = bucket.do(lambda: bucket.client.create_multipart_upload(**request))
    where = {name: request[name] for name in ("Bucket", "Key")}
    where["UploadId"] = told(begun, "UploadId")
    try:
        cut = content.pieces(path, size=wanted.size, piece=content.PART)
        parts = [
            {"PartNumber": number, "ETag": _part(bucket, where, number, body)}
            for number, body in enumerate(cut, 1)
        ]
        complete = bucket.client.complete_multipart_upload
        _finish(
            bucket,
            lambda **more: complete(**where, **more, MultipartUpload={"Parts": parts}),
            wanted,
            only_new=only_new,
        )
    except BaseException:
        # Parts cost money till they are aborted; a lifecycle rule is the net.
        with contextlib.suppress(StorageError):
            bucket.do(lambda: bucket.client.abort_multipart_upload(**where))
        raise


def _part(bucket: Bucket, where: dict[str, Any], number: int, body: bytes) -> str:
    request = where | {"Body": body, "ContentMD5": content.header(body)}
    answer = bucket.do(
        lambda: bucket.client.upload_part(**request, PartNumber=number), size=len(body)
    )
    etag: str = told(answer, "ETag")
    return etag


def _finish(
    bucket: Bucket, call: Callable[..., Any], wanted: Content, *, only_new: bool
) -> None:
    """The call that makes the object. Some servers join parts only now: it takes."""
    if only_new:
        try:
            bucket.do(lambda: call(IfNoneMatch="*"), size=wanted.size)
        except RefusedError as e:
            if e.reason not in UNCONDITIONAL:
                raise
        else:
            return
    bucket.do(call, size=wanted.size)
