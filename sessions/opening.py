"""Opening a session: the one place where a VoiceSession is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction

from sessions import access, lifecycle, queries
from sessions.errors import VoiceError
from sessions.models import Source, State, VoiceSession

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.auth.models import AbstractBaseUser


class TooManySessionsError(VoiceError):
    """Of one person, all live."""

    def __init__(self, most: int) -> None:
        message = f"You have {most} sessions that run: end one of them first."
        super().__init__("too_many_sessions", message, status=429)


@dataclass(frozen=True, slots=True)
class Opened:
    """A new session, and the token that opens it to whoever holds its link."""

    session: VoiceSession
    token: str


def open_browser_session(
    *,
    owner: AbstractBaseUser | None,
    title: str = "",
    language: str = "",
    record: bool = True,
) -> Opened:
    """Make a session that browsers can join, active from now on. Raises
    TooManySessionsError."""
    if owner is not None:
        _check_owner(owner)
    session = open_session(
        source=Source.BROWSER,
        owner=owner,
        user_id=str(owner.pk) if owner else "",
        title=title,
        language=language,
        record=record,
    )
    return Opened(session, access.token_of(session))


def _check_owner(owner: AbstractBaseUser) -> None:
    """A program that opens sessions without end ends nobody else's."""
    most = settings.SESSIONS_PER_USER
    if most and queries.active().filter(owner=owner.pk).count() >= most:
        raise TooManySessionsError(most)


@transaction.atomic
def open_session(
    *,
    source: Source,
    owner: AbstractBaseUser | None,
    channel_id: str = "",
    user_id: str = "",
    title: str = "",
    language: str = "",
    record: bool = True,
    started_at: datetime | None = None,
) -> VoiceSession:
    """Make a session of any source; its time zero is now, or when its sound began."""
    session = VoiceSession.objects.create(
        source=source,
        owner_id=owner.pk if owner else None,
        channel_id=channel_id,
        user_id=user_id,
        title=title,
        language=language,
        record=record,
    )
    lifecycle.advance(session.pk, State.ACTIVE, now=started_at)
    session.refresh_from_db()
    return session


def request_session(
    *,
    source: Source,
    guild_id: str,
    channel_id: str,
    user_id: str,
    title: str = "",
    language: str = "",
    record: bool = True,
) -> VoiceSession:
    """Make a session for a request that got its slot: somebody's who is yet to come.

    Requested, without time zero; its log begins with where `lifecycle` takes it next.
    """
    return VoiceSession.objects.create(
        source=source,
        guild_id=guild_id,
        channel_id=channel_id,
        user_id=user_id,
        title=title,
        language=language,
        record=record,
    )
