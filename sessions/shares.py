"""THE writer of shares: links that show one session to whoever has them.

A link's token names a row, and is signed: nothing secret is stored, and the link can be
shown again. Whether it opens anything stands in the row, which each use looks at.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import structlog
from django.core import signing
from django.core.exceptions import ValidationError
from django.utils import timezone

from sessions.errors import VoiceError
from sessions.models import Share, State, VoiceSession

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

log = structlog.get_logger(__name__)

SALT = "parley.share"
DAYS_MAX = 365


class NotSharedError(VoiceError):
    """The same words whatever the reason: they do not tell what there is."""

    def __init__(self, *, status: int = 404) -> None:
        message = "This link does not show anything, or not any more."
        super().__init__("not_shared", message, status=status)


def share(
    session: VoiceSession,
    *,
    days: int,
    by: AbstractBaseUser,
    now: datetime | None = None,
) -> Share:
    """A link for so many days. Raises VoiceError."""
    if not 1 <= days <= DAYS_MAX:
        message = f"A link lasts from 1 day to {DAYS_MAX} days."
        raise VoiceError("bad_days", message, status=422)
    now = now or timezone.now()
    row = Share.objects.create(
        session=session,
        user_id=by.pk,
        created_at=now,
        expires_at=now + timedelta(days=days),
    )
    log.info("session.shared", session=session.pk, share=row.pk)
    return row


def revoke(
    session: VoiceSession, public_id: UUID | str, *, now: datetime | None = None
) -> None:
    """From here on the link opens nothing; twice is once. Raises VoiceError."""
    try:
        row = session.shares.get(public_id=public_id)
    except (Share.DoesNotExist, ValidationError, ValueError) as e:
        raise VoiceError("not_found", "There is no such link.", status=404) from e
    session.shares.filter(pk=row.pk, revoked_at=None).update(
        revoked_at=now or timezone.now()
    )
    log.info("session.unshared", session=session.pk, share=row.pk)


def of_session(session: VoiceSession, *, now: datetime | None = None) -> list[Share]:
    """The links that open it now, oldest first."""
    rows = session.shares.filter(revoked_at=None, expires_at__gt=now or timezone.now())
    return list(rows)


def token_of(row: Share) -> str:
    """What stands in the link: letters, digits, `-`, `_` and `:`."""
    return signing.Signer(salt=SALT).sign_object(row.public_id.hex)


def find(token: str, *, now: datetime | None = None) -> Share:
    """The share a token names, while it lasts. Raises NotSharedError: 404 for what
    never was one, 410 for one that is over."""
    try:
        public_id = UUID(signing.Signer(salt=SALT).unsign_object(token))
    except (signing.BadSignature, ValueError, TypeError, AttributeError) as e:
        raise NotSharedError from e
    rows = Share.objects.exclude(session__state=State.DELETED)
    row = rows.filter(public_id=public_id).select_related("session").first()
    if row is None:
        raise NotSharedError
    if row.revoked_at is not None or row.expires_at <= (now or timezone.now()):
        raise NotSharedError(status=410)
    return row


def session_of(token: str) -> VoiceSession | None:
    """The session a token shows now, or None."""
    if ":" not in token:  # no token of another kind has one
        return None
    try:
        return find(token).session
    except NotSharedError:
        return None
