"""Reads for pages, the API, the admin and the reaper. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from django.db.models import Q, QuerySet

from sessions import access, guilds
from sessions.models import Participant, State, VoiceSession

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

ALIVE = (State.REQUESTED, State.WAITING, State.ACTIVE)


def active() -> QuerySet[VoiceSession]:
    """Every session that lives."""
    return VoiceSession.objects.filter(state__in=ALIVE)


def public_id_of(session_id: int) -> UUID:
    """Raises VoiceSession.DoesNotExist."""
    return VoiceSession.objects.values_list("public_id", flat=True).get(pk=session_id)


def active_in_channel(
    source: str, channel_id: str, *, guild_id: str = ""
) -> QuerySet[VoiceSession]:
    """The sessions that live in one channel of one source."""
    found = active().filter(source=source, channel_id=channel_id)
    return found.filter(guild_id=guild_id) if guild_id else found


def active_of_user(source: str, user_id: str) -> QuerySet[VoiceSession]:
    """The sessions that live for one user, as the source names them."""
    return active().filter(source=source, user_id=user_id)


def visible_to(user: AbstractBaseUser) -> QuerySet[VoiceSession]:
    """What a signed-in person may list: what `access.may_open` lets them open."""
    stored = VoiceSession.objects.exclude(state=State.DELETED)
    if access.is_moderator(user):
        return stored
    managed = VoiceSession.objects.filter(guild_id__in=guilds.managed_by(user))
    return stored.filter(access.own(user, managed))


def searchable_by(user: AbstractBaseUser) -> QuerySet[VoiceSession] | None:
    """What they may search in: the same; None stands for everything."""
    return None if access.is_moderator(user) else visible_to(user)


def still_open(session_ids: Iterable[int]) -> set[int]:
    """Those of the sessions that take sound."""
    rows = VoiceSession.objects.filter(
        pk__in=session_ids, state=State.ACTIVE, stop_requested_at=None
    )
    return set(rows.values_list("pk", flat=True))


def idle(sources: Iterable[str], *, since: datetime) -> list[int]:
    """Active sessions of these sources that nobody has renewed after `since`."""
    rows = VoiceSession.objects.filter(
        Q(heartbeat_at__lt=since) | Q(heartbeat_at=None),
        source__in=sources,
        state=State.ACTIVE,
        stop_requested_at=None,
    )
    return list(rows.values_list("pk", flat=True))


def half_ended(*, since: datetime) -> list[int]:
    """Active sessions asked to stop before `since`: whoever did that has died."""
    rows = VoiceSession.objects.filter(state=State.ACTIVE, stop_requested_at__lt=since)
    return list(rows.values_list("pk", flat=True))


def finishing() -> list[int]:
    """Sessions whose end is not yet complete."""
    rows = VoiceSession.objects.filter(state=State.FINISHING)
    return list(rows.values_list("pk", flat=True))


def others_present(session_id: int, *, key: str) -> int:
    """How many are in a session now, in whatever process, beside the one of `key`."""
    people = Participant.objects.filter(session=session_id).exclude(key=key)
    return people.exclude(held_by="").count()


def heads(session_ids: Iterable[int]) -> dict[int, int]:
    """The newest event's number of each session."""
    rows = VoiceSession.objects.filter(pk__in=list(session_ids))
    return dict(rows.values_list("pk", "last_seq"))
