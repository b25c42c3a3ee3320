"""Where recordings are kept: a folder of this machine, or a bucket of any S3.

`storage()` is the one that the settings ask for. What it can do is in `Storage`.
"""

from __future__ import annotations

import os
import threading

from django.conf import settings

from sessions.storage.errors import (
    CredentialsError,
    DamagedError,
    FullError,
    KeyTakenError,
    LinkRefusedError,
    NoBucketError,
    NoFileError,
    NotStoredError,
    RefusedError,
    StorageError,
    UnreachableError,
)
from sessions.storage.links import Linked, sign, unsign
from sessions.storage.local import LocalStorage
from sessions.storage.port import Storage, Stored
from sessions.storage.s3 import S3Storage
from sessions.storage.s3client import S3Options

__all__ = [
    "CredentialsError",
    "DamagedError",
    "FullError",
    "KeyTakenError",
    "LinkRefusedError",
    "Linked",
    "LocalStorage",
    "NoBucketError",
    "NoFileError",
    "NotStoredError",
    "RefusedError",
    "S3Options",
    "S3Storage",
    "Storage",
    "StorageError",
    "Stored",
    "UnreachableError",
    "sign",
    "storage",
    "unsign",
]

_lock = threading.Lock()
_made: dict[tuple[object, ...], Storage] = {}


def storage() -> Storage:
    """The storage of this installation: one for each process, made when first asked.

    After a fork a new one is made: connections cannot be shared.
    """
    options = _s3_options() if settings.S3_BUCKET else None
    wanted = (os.getpid(), options, settings.STORAGE_DIR, settings.PUBLIC_URL)
    with _lock:
        if wanted not in _made:
            _made.clear()
            _made[wanted] = (
                S3Storage(options)
                if options
                else LocalStorage(settings.STORAGE_DIR, host=settings.PUBLIC_URL)
            )
        return _made[wanted]


def _s3_options() -> S3Options:
    return S3Options(
        bucket=settings.S3_BUCKET,
        region=settings.S3_REGION,
        endpoint_url=settings.S3_ENDPOINT_URL,
        prefix=settings.S3_PREFIX,
        sse=settings.S3_SSE,
        sse_kms_key_id=settings.S3_SSE_KMS_KEY_ID,
        access_key_id=settings.S3_ACCESS_KEY_ID,
        secret_access_key=settings.S3_SECRET_ACCESS_KEY,
        addressing_style=settings.S3_ADDRESSING_STYLE,
        checksums=settings.S3_CHECKSUMS,
    )
