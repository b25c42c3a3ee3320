"""Who may open which session, and who may end it: tokens in, a session or an error out.

Its owner, who took part, who manages its Discord server, and moderators may open it;
its participants may not end it. To anybody else it does not exist.

A session's own token opens that session alone. It is derived from SECRET_KEY, so that
nothing secret is stored and its owner can be shown the link again. A share's token
opens one session to be read, and only where `readable` is asked.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.contrib.auth.models import AnonymousUser, PermissionsMixin
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.utils.crypto import salted_hmac

from sessions import guilds, shares
from sessions.errors import NotAllowedError, SessionNotFoundError
from sessions.models import Participant, State, VoiceSession

if TYPE_CHECKING:
    from uuid import UUID

    from django.contrib.auth.models import AbstractBaseUser

    Person = AbstractBaseUser | AnonymousUser

MODERATE = "voice_sessions.moderate"
"""The permission that opens everything; superusers have it by themselves."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A session somebody may read; `is_shared`: by a share's link, and nothing more."""

    session: VoiceSession
    is_shared: bool


def token_of(session: VoiceSession) -> str:
    """The session's own token: 32 characters that are safe in a URL, 192 bits."""
    mac = salted_hmac("parley.session", str(session.public_id), algorithm="sha256")
    return base64.urlsafe_b64encode(mac.digest()[:24]).decode()


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
    user: Person | None = None,
    token: str = "",
) -> VoiceSession:
    """The session, for one who may open it.

    Raises SessionNotFoundError: also for a wrong token and a stranger.
    """
    session = find(public_id)
    if (token and opens(session, token)) or (user and may_open(session, user)):
        return session
    raise SessionNotFoundError


def session_to_manage(
    public_id: UUID | str, *, user: Person | None = None, token: str = ""
) -> VoiceSession:
    """The session, for one who may end, change or delete it.

    Raises NotAllowedError for one who may only open it, SessionNotFoundError for all
    others.
    """
    session = session_for(public_id, user=user, token=token)
    if user and may_manage(session, user):
        return session
    raise NotAllowedError


def readable(
    public_id: UUID | str,
    *,
    user: Person | None = None,
    token: str = "",
) -> Reading:
    """The session, for one who may open it, or has a link that shares it.

    Raises as `session_for`.
    """
    try:
        found = session_for(public_id, user=user, token=token)
    except SessionNotFoundError:
        shared = shares.session_of(token)
        if shared is None or shared != find(public_id):
            raise
        return Reading(shared, is_shared=True)
    return Reading(found, is_shared=False)


def opens(session: VoiceSession, token: str) -> bool:
    """Whether this is the session's own token."""
    given = token.encode("utf-8", "surrogatepass")
    return hmac.compare_digest(token_of(session).encode(), given)


def may_open(session: VoiceSession, user: Person) -> bool:
    """Whether this person may read and hear it."""
    return may_manage(session, user) or took_part(session, user)


def may_manage(session: VoiceSession, user: Person) -> bool:
    """Whether they may end, change and delete it, too."""
    if not user.is_authenticated:
        return False
    if session.owner_id == user.pk:
        return True
    return _manages_its_guild(session, user) or is_moderator(user)


def is_own(session: VoiceSession, user: Person) -> bool:
    """Whether it is their own: they opened it, or spoke in it."""
    if not user.is_authenticated:
        return False
    return session.owner_id == user.pk or took_part(session, user)


def own(user: AbstractBaseUser, *others: QuerySet[VoiceSession]) -> Q:
    """Which sessions are; and `others`. Each is found by an index: for an OR of them
    PostgreSQL reads all sessions and participants there are."""
    owned = VoiceSession.objects.filter(owner=user.pk).order_by().values("pk")
    more = [rows.order_by().values("pk") for rows in others]
    spoke = [
        Participant.objects.filter(way).order_by().values("session")
        for way in _known_by(user)
    ]
    return Q(pk__in=owned.union(*more, *spoke, all=True))


def took_part(session: VoiceSession, user: Person) -> bool:
    if not user.is_authenticated:
        return False
    by_account, by_key = _known_by(user)
    return Participant.objects.filter(by_account | by_key, session=session).exists()


def _known_by(user: AbstractBaseUser) -> tuple[Q, Q]:
    """Which participants are this person: signed in while they spoke, or on Discord."""
    return Q(user=user.pk), Q(key__in=guilds.keys_of(user))


def is_moderator(user: Person) -> bool:
    """Whether they see all sessions: superusers, and the group of moderators."""
    return isinstance(user, PermissionsMixin) and user.has_perm(MODERATE)


def _manages_its_guild(session: VoiceSession, user: AbstractBaseUser) -> bool:
    if not session.guild_id:
        return False
    return guilds.managed_by(user).filter(guild_id=session.guild_id).exists()
