"""THE writer of API tokens, which let programs do what their user may.

A token has scopes and may expire; of it only the sha256 is stored.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.utils import timezone

from sessions.errors import VoiceError
from sessions.models import ApiToken, Scope

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

DAYS_MAX = 3650
USED_EVERY = timedelta(hours=1)
"""So exactly `last_used_at` is known: a write for each request would be too many."""


class ExpiredTokenError(VoiceError):
    def __init__(self) -> None:
        message = "This API token has expired."
        super().__init__("token_expired", message, status=401)


class ScopeError(VoiceError):
    """A good token, for something else."""

    def __init__(self, scope: Scope) -> None:
        message = f"This needs an API token with the scope {scope}."
        super().__init__("scope", message, status=403)


def new_token() -> str:
    """32 characters that are safe in a URL, from 192 random bits."""
    return secrets.token_urlsafe(24)


def digest(token: str) -> str:
    """What is stored of a token. It is random: a plain hash is enough."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def make(
    user: AbstractBaseUser,
    *,
    label: str = "",
    scopes: Collection[str] = tuple(Scope),
    days: int | None = None,
    now: datetime | None = None,
) -> str:
    """A new one, good for so many days; None: until it is deleted. Raises
    VoiceError."""
    if days is not None and not 1 <= days <= DAYS_MAX:
        message = f"A token lasts from 1 day to {DAYS_MAX} days."
        raise VoiceError("bad_days", message, status=422)
    now, token = now or timezone.now(), new_token()
    ApiToken.objects.create(
        user_id=user.pk,
        label=label[:80],
        token_sha256=digest(token),
        scopes=" ".join(scope for scope in Scope if scope in scopes),
        created_at=now,
        expires_at=None if days is None else now + timedelta(days=days),
    )
    return token


def user_of(
    token: str, *, scope: Scope, now: datetime | None = None
) -> AbstractBaseUser | None:
    """The active user a token belongs to; None for what is no API token. Raises
    ExpiredTokenError, and ScopeError for one that is not for this."""
    rows = ApiToken.objects.select_related("user")
    row = rows.filter(token_sha256=digest(token), user__is_active=True).first()
    if row is None:
        return None
    now = now or timezone.now()
    if row.expires_at is not None and row.expires_at <= now:
        raise ExpiredTokenError
    if scope not in row.scopes.split():
        raise ScopeError(scope)
    if row.last_used_at is None or now - row.last_used_at >= USED_EVERY:
        ApiToken.objects.filter(pk=row.pk).update(last_used_at=now)
    return row.user
