"""The one place that knows boto3: makes a client, and tells what its errors mean.

boto3 is imported only when S3 is used: that takes 0.2 s and 50 MB.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sessions.storage.errors import (
    CredentialsError,
    DamagedError,
    FullError,
    KeyTakenError,
    NoBucketError,
    NotStoredError,
    RefusedError,
    StorageError,
    UnreachableError,
)

CREDENTIALS = frozenset(
    {
        "AccessDenied",
        "AuthorizationHeaderMalformed",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidSecurity",
        "InvalidToken",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
    }
)
FULL = frozenset({"InsufficientStorage", "QuotaExceeded", "XMinioStorageFull"})
MISSING = frozenset({"NoSuchKey", "NoSuchUpload", "NoSuchVersion"})
NO_BUCKET = frozenset({"NoSuchBucket", "InvalidBucketName"})
DAMAGED = frozenset(
    {
        "BadDigest",
        "IncompleteBody",
        "InvalidDigest",
        "InvalidPart",
        "XAmzContentSHA256Mismatch",
    }
)
TAKEN = frozenset({"PreconditionFailed"})
BUSY = frozenset(
    {
        "ConditionalRequestConflict",
        "OperationAborted",
        "RequestTimeout",
        "SlowDown",
        "Throttling",
        "TooManyRequests",
    }
)
_BY_CODE: list[tuple[frozenset[str], type[StorageError]]] = [
    (CREDENTIALS, CredentialsError),
    (FULL, FullError),
    (MISSING, NotStoredError),
    (NO_BUCKET, NoBucketError),
    (TAKEN, KeyTakenError),
]
# An answer to HEAD has no body that names a code. AWS answers 400 to expired tokens.
_BY_STATUS: dict[int, type[StorageError]] = {
    400: CredentialsError,
    401: CredentialsError,
    403: CredentialsError,
    404: NotStoredError,
    412: KeyTakenError,
    507: FullError,
}


@dataclass(frozen=True, slots=True)
class S3Options:
    """What a client is made of. Empty keys: boto3 looks where it always looks."""

    bucket: str
    region: str = "us-east-1"
    endpoint_url: str = ""
    prefix: str = ""
    sse: str = ""
    sse_kms_key_id: str = ""
    access_key_id: str = ""
    secret_access_key: str = field(default="", repr=False)
    addressing_style: str = "auto"
    checksums: str = "when_supported"
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 30.0
    attempts: int = 3
    slowest_bytes_s: int = 32 * 1024
    """A transfer slower than this, on the whole, is given up."""

    def patience_s(self, size: int = 0) -> float:
        """The longest a call may take that moves so many bytes."""
        once = self.connect_timeout_s + self.read_timeout_s
        return self.attempts * once + size / self.slowest_bytes_s


def make_client(options: S3Options) -> Any:
    """A client, safe to use from many threads, not across a fork."""
    import boto3
    from botocore.config import Config  # type: ignore[import-untyped]

    # Its DEBUG lines hold every head it sends: the access key, a role's token.
    logging.getLogger("botocore").setLevel(logging.INFO)
    config = Config(
        signature_version="s3v4",
        connect_timeout=options.connect_timeout_s,
        read_timeout=options.read_timeout_s,
        retries={"mode": "standard", "total_max_attempts": options.attempts},
        s3={"addressing_style": options.addressing_style},
        request_checksum_calculation=options.checksums,
        response_checksum_validation=options.checksums,
        tcp_keepalive=True,
    )
    # Of its own: the default session is not safe to share between threads.
    return boto3.session.Session().client(
        "s3",
        region_name=options.region,
        endpoint_url=options.endpoint_url or None,
        aws_access_key_id=options.access_key_id or None,
        aws_secret_access_key=options.secret_access_key or None,
        config=config,
    )


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raise what boto3 raises as StorageError. The cause may hold addresses: it stays
    in the traceback, and out of the message.
    """
    from botocore import exceptions, parsers  # type: ignore[import-untyped]

    try:
        yield
    except exceptions.ClientError as e:
        raise of_answer(e.response) from e
    except (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
        exceptions.TokenRetrievalError,
        exceptions.SSOError,
    ) as e:
        raise CredentialsError from e
    except exceptions.FlexibleChecksumError as e:
        raise DamagedError("its checksum is another") from e
    except exceptions.ParamValidationError as e:
        raise RefusedError("a setting makes no sense") from e
    except ValueError as e:  # an endpoint that is no address, says boto3
        raise RefusedError("a setting makes no sense") from e
    except (exceptions.BotoCoreError, parsers.ResponseParserError) as e:
        raise UnreachableError(type(e).__name__) from e


def of_answer(response: dict[str, Any]) -> StorageError:
    """What an answer that is an error means."""
    code = str(response.get("Error", {}).get("Code", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in BUSY:
        return UnreachableError(code)
    if code in DAMAGED:
        return DamagedError(code)
    for codes, error in _BY_CODE:
        if code in codes:
            return error()  # type: ignore[call-arg]
    if status == 507 or (code == str(status) and status in _BY_STATUS):
        return _BY_STATUS[status]()  # type: ignore[call-arg]
    if status == 403:
        return CredentialsError()
    if status >= 500 and code != "NotImplemented":
        return UnreachableError(f"status {status}")
    return RefusedError(code if code.isalnum() else f"status {status}")
