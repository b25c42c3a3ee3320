"""THE writer of the audit log: who read or heard a session that is not their own.

Edges call `note`, or `many` of a list, once, where text or sound goes out. One row for
each person, session, kind and hour; whoever took part or owns the session leaves none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from sessions import access
from sessions.models import AuditEntry, State, VoiceSession
from sessions.networks import network

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

Kind = AuditEntry.Kind
OVER = frozenset({State.FINISHING, State.READY, State.FAILED})
AT_ONCE = 10_000
"""Rows deleted in one round: the next one goes on."""


def note(
    session: VoiceSession,
    *,
    kind: AuditEntry.Kind,
    user: AbstractBaseUser | AnonymousUser | None,
    address: str,
    now: datetime | None = None,
) -> None:
    """This person gets text or sound of this session now; without a `user` it is
    whoever has its link."""
    person = user if user is not None and user.is_authenticated else None
    if person is None or not access.is_own(session, person):
        _write({session.public_id}, kind, person, address, now)


def note_each(
    sessions: Iterable[UUID],
    *,
    kind: AuditEntry.Kind,
    user: AbstractBaseUser,
    address: str,
    now: datetime | None = None,
) -> None:
    """The same of many sessions, by their public ids, with the queries of one."""
    if asked := set(sessions):
        own = VoiceSession.objects.filter(access.own(user), public_id__in=asked)
        others = asked.difference(own.values_list("public_id", flat=True))
        _write(others, kind, user, address, now)


def _write(
    sessions: Collection[UUID],
    kind: AuditEntry.Kind,
    person: AbstractBaseUser | None,
    address: str,
    now: datetime | None,
) -> None:
    now = now or timezone.now()
    who = f"user:{person.pk}" if person else f"link:{network(address)}"
    hour = now.replace(minute=0, second=0, microsecond=0)
    # Looked for first: a player asks often, and a write has others wait.
    known = AuditEntry.objects.filter(
        session__in=sessions, who=who, kind=kind, hour=hour
    ).values_list("session", flat=True)
    rows = [
        AuditEntry(
            session=session,
            user_id=person.pk if person else None,
            who=who,
            kind=kind,
            address=address,
            seen_at=now,
            hour=hour,
        )
        for session in set(sessions).difference(known)
    ]
    if rows:
        AuditEntry.objects.bulk_create(rows, ignore_conflicts=True)


def many(
    request: HttpRequest,
    sessions: Iterable[UUID],
    *,
    kind: AuditEntry.Kind = Kind.LINES,
) -> None:
    """Whoever is signed in here gets something of each of these sessions."""
    assert request.user.is_authenticated
    address = address_of(request)
    note_each(sessions, kind=kind, user=request.user, address=address)


def reading(session: VoiceSession) -> AuditEntry.Kind:
    """What it is to read along: another thing while it runs than afterwards."""
    return Kind.PAGE if session.state in OVER else Kind.LIVE


def address_of(request: HttpRequest) -> str:
    """Where a request comes from, "" if nobody knows."""
    return address(
        request.META.get("REMOTE_ADDR", ""), request.headers.get("X-Forwarded-For", "")
    )


def address(peer: str, forwarded: str) -> str:
    """The visitor's address: what the first of our proxies says; the rest of
    `forwarded` anybody may have written."""
    hops = [hop.strip() for hop in forwarded.split(",") if hop.strip()] + [peer]
    # Each proxy has added whoever came to it; the last one came to us.
    hop = hops[max(-1 - settings.TRUSTED_PROXIES, -len(hops))]
    try:
        return str(ip_address(hop))
    except ValueError:
        return ""


def forget_old(*, now: datetime | None = None) -> int:
    """Delete what has been kept long enough; how many."""
    if not settings.AUDIT_KEEP_DAYS:
        return 0
    before = (now or timezone.now()) - timedelta(days=settings.AUDIT_KEEP_DAYS)
    old = AuditEntry.objects.filter(seen_at__lt=before).order_by("pk")
    ids = list(old.values_list("pk", flat=True)[:AT_ONCE])
    return AuditEntry.objects.filter(pk__in=ids).delete()[0]
