"""Addresses of locally stored files that open one file, for a while: signed by us."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from django.core import signing

from sessions import keys
from sessions.storage.errors import LinkRefusedError

SALT = "parley.storage.link"
PATH = "/storage/"
"""Where the view is that serves them: PATH, and what `sign` gave."""


@dataclass(frozen=True, slots=True)
class Linked:
    """What a link opens, and how the file wants to be served."""

    key: str
    filename: str | None
    content_type: str | None


def sign(
    key: str,
    *,
    expires_s: int,
    filename: str | None = None,
    content_type: str | None = None,
    clock: Callable[[], float] = time.time,
) -> str:
    """A token of letters, digits, `-`, `_` and `:` that opens `key` till it expires."""
    until = int(clock() + expires_s)
    told = [keys.check(key), until, filename, content_type]
    return signing.dumps(told, salt=SALT, compress=True)


def unsign(token: str, *, clock: Callable[[], float] = time.time) -> Linked:
    """What a token opens. Raises LinkRefusedError."""
    try:
        key, until, filename, content_type = signing.loads(token, salt=SALT)
    except (signing.BadSignature, ValueError) as e:
        raise LinkRefusedError from e
    if clock() >= until:
        raise LinkRefusedError
    return Linked(keys.check(key), filename, content_type)
