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
    if token := _token(request):
        return Caller(access.user_of(token), token)
    user = get_user(request)
    if not user.is_authenticated:
        return None
    if request.method not in SAFE and check_csrf(request) is not None:
        message = "The CSRF token is missing or wrong: load the page again."
        raise VoiceError("csrf", message, status=403)
    return Caller(user)


identify_async = database_sync_to_async(identify)
"""The same for asynchronous views."""


def _token(request: HttpRequest) -> str:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    # An EventSource and a link cannot set a header.
    return request.GET.get("token", "")
