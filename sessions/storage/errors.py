"""What can be wrong with a storage: one family, each with what a caller may do.

Messages are for people and name no address, no secret and nothing a server said.
"""

from __future__ import annotations

import errno

from sessions.errors import VoiceError


class StorageError(VoiceError):
    """`retryable`: the same call may succeed later, perhaps after a person acted."""

    def __init__(
        self, code: str, message: str, *, retryable: bool, status: int = 503
    ) -> None:
        super().__init__(code, message, status=status)
        self.retryable = retryable


class UnreachableError(StorageError):
    """No connection, a time-out, a reset, a 5xx, or far too slow."""

    def __init__(self, why: str) -> None:
        message = f"The storage does not answer as it should: {why}."
        super().__init__("storage_unreachable", message, retryable=True)


class CredentialsError(StorageError):
    """A person has to renew the keys or what they may do."""

    def __init__(self) -> None:
        message = "The storage refuses the access keys: they are wrong or expired."
        super().__init__("storage_credentials", message, retryable=True)


class NoBucketError(StorageError):
    """A person has to make the bucket, or to correct its name."""

    def __init__(self) -> None:
        message = "The storage has no bucket of that name."
        super().__init__("storage_bucket", message, retryable=True)


class FullError(StorageError):
    """No space: there, or on this machine."""

    def __init__(self) -> None:
        super().__init__("storage_full", "There is no space left.", retryable=True)


class RefusedError(StorageError):
    """The server does not do what was asked; `reason` is its word for it.

    A person has to look at the settings.
    """

    def __init__(self, reason: str) -> None:
        message = f"The storage refused: {reason}."
        super().__init__("storage_refused", message, retryable=True)
        self.reason = reason


class DamagedError(StorageError):
    """What is stored, or what arrived from there, is not what was sent."""

    def __init__(self, why: str) -> None:
        message = f"A file did not pass to or from the storage whole: {why}."
        super().__init__("storage_damaged", message, retryable=True)


class NotStoredError(StorageError):
    def __init__(self) -> None:
        message = "There is no such file in the storage."
        super().__init__("storage_not_found", message, retryable=False, status=404)


class KeyTakenError(StorageError):
    """Another content has this name already; it is left alone."""

    def __init__(self) -> None:
        message = "Another file has this name in the storage already."
        super().__init__("storage_taken", message, retryable=False, status=409)


class NoFileError(StorageError):
    def __init__(self) -> None:
        message = "What is to be stored is no file."
        super().__init__("storage_no_file", message, retryable=False)


class LinkRefusedError(StorageError):
    def __init__(self) -> None:
        message = "This link has expired, or is not whole."
        super().__init__("link_refused", message, retryable=False, status=403)


FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def of_disk(error: OSError) -> StorageError:
    """What a failure of this machine's file system means here."""
    if error.errno in FULL:
        return FullError()
    name = errno.errorcode.get(error.errno or 0, type(error).__name__)
    return UnreachableError(f"the disk said {name}")
