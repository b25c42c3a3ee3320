"""Which session somebody means, and whether they may have it.

A session is its people's: who asked for it, who spoke in it, and whoever manages the
server. Those of other servers are not there at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from sessions.errors import SessionNotFoundError, VoiceError
from sessions.models import Participant, Source, State, VoiceSession

if TYPE_CHECKING:
    from bot.discord.desk import Context

SHORT = 8
"""Characters of an id that are shown, and enough to be told."""
ID = re.compile(r"[0-9a-f]{8}[0-9a-f-]{0,28}")


@dataclass(frozen=True, slots=True)
class Asking:
    """Whoever asks, and where."""

    guild_id: str
    user_id: str
    manages: bool

    @classmethod
    def of(cls, context: Context) -> Asking:
        """Of a command in a server."""
        assert context.guild is not None
        member = context.author
        return cls(str(context.guild.id), str(member.id), manages(member))


def manages(member: Any) -> bool:
    """Whether they manage the server they ask in; somebody who is in none does not."""
    permissions = getattr(member, "guild_permissions", None)
    return permissions is not None and bool(permissions.manage_guild)


def short(session: VoiceSession) -> str:
    return str(session.public_id)[:SHORT]


def newest(asking: Asking, *, most: int) -> list[VoiceSession]:
    """What they may see, the newest first; without what never began and never will."""
    rows = _there(asking).exclude(state=State.FAILED, started_at=None)
    if not asking.manages:
        rows = rows.filter(_theirs(asking))
    return list(rows[:most])


def find(asking: Asking, text: str) -> VoiceSession:
    """The session of an id, or of the beginning of one. Raises VoiceError for what is
    no id, what is not there and what is not theirs."""
    wanted = text.strip(" `\n").lower()
    if not ID.fullmatch(wanted):
        raise VoiceError("bad_id", "This is not the id of a session.", status=400)
    found = list(_there(asking).filter(public_id__startswith=wanted)[:2])
    if not found:
        raise SessionNotFoundError
    if len(found) > 1:
        raise VoiceError("bad_id", "Several sessions begin so.", status=400)
    session = found[0]
    if not asking.manages and not _there(asking).filter(_theirs(asking), pk=session.pk):
        raise VoiceError("not_yours", "The session is not yours.", status=403)
    return session


def _there(asking: Asking) -> QuerySet[VoiceSession]:
    rows = VoiceSession.objects.filter(source=Source.DISCORD, guild_id=asking.guild_id)
    return rows.exclude(state=State.DELETED)


def _theirs(asking: Asking) -> Q:
    key = f"discord:{asking.user_id}"
    spoke = Participant.objects.filter(session=OuterRef("pk"), key=key)
    return Q(user_id=asking.user_id) | Q(Exists(spoke))
