"""Who calls the API: a signed-in user, an API token, or a session's own token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from channels.db import database_sync_to_async
from django.contrib.auth import get_user
from django.http import HttpRequest
from ninja.utils import check_csrf

from sessions import access, audit, tokens
from sessions.access import Reading
from sessions.errors import VoiceError
from sessions.models import Scope
from sessions.networks import network
from sessions.rates import rates

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

    from sessions.models import AuditEntry, VoiceSession

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Caller:
    """`user` is known by sign-in or API token; `token` may be a session's own."""

    user: AbstractBaseUser | None
    token: str = ""


def identify(request: HttpRequest) -> Caller | None:
    """Whoever sent the request, or None; used as django-ninja's `auth`.

    A cookie counts for a change only together with the CSRF token, an API token only
    with the scope of what is asked. Raises VoiceError `csrf`, `scope` and
    `token_expired` otherwise, and TooManyError where they change too much.
    """
    return _identified(request, Scope.READ if request.method in SAFE else Scope.WRITE)


identify_async = database_sync_to_async(identify)
"""The same for asynchronous views."""


def identify_for_calls(request: HttpRequest) -> Caller | None:
    """The same for all that is done to phone calls."""
    return _identified(request, Scope.CALLS)


def _identified(request: HttpRequest, scope: Scope) -> Caller | None:
    caller = _known(request, scope)
    if caller is not None and request.method not in SAFE:
        address = network(audit.address_of(request))
        if who := f"user:{caller.user.pk}" if caller.user else address:
            rates.spend(who)
    return caller


def _known(request: HttpRequest, scope: Scope) -> Caller | None:
    if bearer := _bearer(request):
        return Caller(tokens.user_of(bearer, scope=scope), bearer)
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


def of(request: HttpRequest) -> Caller:
    """Who `identify` found: django-ninja keeps it at the request."""
    return request.auth  # type: ignore[attr-defined]


def api_token_of(request: HttpRequest) -> str:
    """The API token that says who sent the request, "" if it is something else."""
    return "" if of(request).user is None else _bearer(request)


def opening(request: HttpRequest, public_id: str) -> VoiceSession:
    """The session, for a caller who may open it. Raises VoiceError."""
    caller = of(request)
    return access.session_for(public_id, user=caller.user, token=caller.token)


def opened_for(
    request: HttpRequest, public_id: str, *, kind: AuditEntry.Kind | None = None
) -> VoiceSession:
    """The same, where its text or sound goes out: the audit log is told. Without a
    `kind`: somebody reads along."""
    session = opening(request, public_id)
    _note(request, session, kind=kind or audit.reading(session))
    return session


def reading(
    request: HttpRequest, public_id: str, *, kind: AuditEntry.Kind | None = None
) -> Reading:
    """The same, also for one whom a link shows it: for what such a link shows. The
    audit log is told of text and sound, its `kind`."""
    caller = of(request)
    found = access.readable(public_id, user=caller.user, token=caller.token)
    if kind is not None:
        _note(request, found.session, kind=kind)
    return found


def managing(
    request: HttpRequest, public_id: str
) -> tuple[VoiceSession, AbstractBaseUser]:
    """The session and the person, who may change what others see. Raises VoiceError."""
    user, token = of(request).user, of(request).token
    session = access.session_to_manage(public_id, user=user, token=token)
    assert user is not None  # a link manages nothing
    return session, user


def _note(
    request: HttpRequest, session: VoiceSession, *, kind: AuditEntry.Kind
) -> None:
    address = audit.address_of(request)
    audit.note(session, kind=kind, user=of(request).user, address=address)


def _bearer(request: HttpRequest) -> str:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else ""
