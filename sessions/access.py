"""Who may open which session: tokens in, a session or an error out.

Tokens are random and only their sha256 is stored; a session's own token opens that
session alone, a user's API token whatever the user may open.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError

from sessions.errors import NotAllowedError, SessionNotFoundError
from sessions.models import ApiToken, State, VoiceSession

if TYPE_CHECKING:
    from uuid import UUID

    from django.contrib.auth.models import AbstractBaseUser


def new_token() -> str:
    """32 characters that are safe in a URL, from 192 random bits."""
    return secrets.token_urlsafe(24)


def digest(token: str) -> str:
    """What is stored of a token. It is random: a plain hash is enough."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def user_of(api_token: str) -> AbstractBaseUser | None:
    """The active user an API token belongs to, or None."""
    row = ApiToken.objects.select_related("user").filter(
        token_sha256=digest(api_token), user__is_active=True
    )
    found = row.first()
    return found.user if found else None


def find(public_id: UUID | str) -> VoiceSession:
    """The session, whoever asks. Raises SessionNotFoundError, also for a bad id."""
    stored = VoiceSession.objects.exclude(state=State.DELETED)
    try:
        return stored.get(public_id=public_id)
    except (VoiceSession.DoesNotExist, ValidationError, ValueError) as e:
        raise SessionNotFoundError from e


def session_for(
    public_id: UUID | str,
    *,
    user: AbstractBaseUser | AnonymousUser | None = None,
    token: str = "",
) -> VoiceSession:
    """The session, for one who may open it.

    Raises SessionNotFoundError, or NotAllowedError for a wrong token and a stranger.
    """
    session = find(public_id)
    if (token and opens(session, token)) or (user and may_open(session, user)):
        return session
    raise NotAllowedError


def opens(session: VoiceSession, token: str) -> bool:
    """Whether this is the session's own token."""
    known = session.token_sha256
    return bool(known) and hmac.compare_digest(known, digest(token))


def may_open(session: VoiceSession, user: AbstractBaseUser | AnonymousUser) -> bool:
    """Whether a signed-in person may: its owner, and moderators."""
    if not user.is_authenticated:
        return False
    return session.owner_id == user.pk or bool(getattr(user, "is_staff", False))
