"""Who calls the API: a signed-in user, an API token, or a session's own token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from channels.db import database_sync_to_async
from django.contrib.auth import get_user
from django.http import HttpRequest
from ninja.utils import check_csrf

from sessions import access
from sessions.errors import VoiceError

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Caller:
    """`user` is known by sign-in or API token; `token` may be a session's own."""

    user: AbstractBaseUser | None
    token: str = ""


def identify(request: HttpRequest) -> Caller | None:
    """Whoever sent the request, or None; used as django-ninja's `auth`.

    A cookie counts for a change only together with the CSRF token. Raises VoiceError
    `csrf` otherwise.
    """
    if bearer := _bearer(request):
        return Caller(access.user_of(bearer), bearer)
    # An EventSource and a link cannot set a header. Only a session's own token may
    # stand in an address: those are kept in logs and histories.
    token = request.GET.get("token", "")
    user = get_user(request)
    if not user.is_authenticated:
        return Caller(None, token) if token else None
    if request.method in SAFE or check_csrf(request) is None:
        return Caller(user, token)
    if token:
        return Caller(None, token)
    message = "The CSRF token is missing or wrong: load the page again."
    raise VoiceError("csrf", message, status=403)


identify_async = database_sync_to_async(identify)
"""The same for asynchronous views."""


def _bearer(request: HttpRequest) -> str:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else ""
