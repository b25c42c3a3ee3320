"""Who may open which session: tokens in, a session or an error out.

A session's own token opens that session alone. It is derived from SECRET_KEY, so that
nothing secret is stored and its owner can be shown the link again. A user's API token
opens whatever the user may open; of it only the sha256 is stored.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.utils.crypto import salted_hmac

from sessions.errors import NotAllowedError, SessionNotFoundError
from sessions.models import ApiToken, State, VoiceSession

if TYPE_CHECKING:
    from uuid import UUID

    from django.contrib.auth.models import AbstractBaseUser


def new_token() -> str:
    """An API token: 32 characters that are safe in a URL, from 192 random bits."""
    return secrets.token_urlsafe(24)


def token_of(session: VoiceSession) -> str:
    """The session's own token: 32 characters that are safe in a URL, 192 bits."""
    mac = salted_hmac("parley.session", str(session.public_id), algorithm="sha256")
    return base64.urlsafe_b64encode(mac.digest()[:24]).decode()


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
    given = token.encode("utf-8", "surrogatepass")
    return hmac.compare_digest(token_of(session).encode(), given)


def may_open(session: VoiceSession, user: AbstractBaseUser | AnonymousUser) -> bool:
    """Whether a signed-in person may: its owner, and moderators."""
    if not user.is_authenticated:
        return False
    return session.owner_id == user.pk or bool(getattr(user, "is_staff", False))
