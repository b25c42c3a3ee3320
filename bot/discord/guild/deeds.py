"""THE writer of DiscordCall: what we did in a guild, and whether it is undone.

Asks nothing of Discord: `undo` does, and tells here.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from bot.models import DiscordCall
from sessions import queries
from sessions.models import Source, State, VoiceSession

ROOM_TITLE, NO_TITLE = "Voice-", "Voice channel"
"""How the names of rooms begin; the title of a session that has no such name."""
ERROR_MAX = 200
AGAIN_AFTER = timedelta(seconds=30)
"""What could not be undone is tried again, later each time."""
AGAIN_MAX = timedelta(hours=1)
STALE_AFTER = timedelta(minutes=2)
"""By then the end of a call has tried what belongs to it."""
NAMES = ("nickname", "nickname_before")


def begin(
    session: VoiceSession, *, text_channel_id: int, locale: str, room_name: str = ""
) -> DiscordCall:
    """Before anything is done. `room_name`: a private room will be made."""
    return DiscordCall.objects.create(
        session=session,
        guild_id=session.guild_id,
        user_id=session.user_id,
        text_channel_id=str(text_channel_id or ""),
        locale=locale,
        room_name=room_name,
    )


def of_session(session_id: int) -> DiscordCall | None:
    return DiscordCall.objects.filter(session=session_id).first()


def room_made(call_id: int, *, room_id: int) -> None:
    """Its channel is known, and the session's is the same."""
    _note(call_id, room_id=str(room_id), undone_at=None)


def in_channel(session_id: int, *, channel_id: int) -> None:
    """Where a session takes place: a moderator may move us."""
    VoiceSession.objects.filter(pk=session_id).update(channel_id=str(channel_id))


def name_left(guild_id: int) -> DiscordCall | None:
    """The newest call of a guild whose name is to be taken off us."""
    left = DiscordCall.objects.filter(guild_id=str(guild_id)).exclude(nickname="")
    return left.order_by("-pk").first()


@transaction.atomic
def renamed(call: DiscordCall, *, nickname: str, before: str) -> None:
    """What we are called in its guild from now on. Names that were left there are
    this call's to undo: else its recording would lose the sign."""
    left = DiscordCall.objects.filter(guild_id=call.guild_id).exclude(nickname="")
    for pk in left.exclude(pk=call.pk).values_list("pk", flat=True):
        undone(pk, what=NAMES)
    _note(call.pk, nickname=nickname, nickname_before=before, undone_at=None)


def not_renamed(call_id: int) -> None:
    """Discord refused."""
    _note(call_id, **dict.fromkeys(NAMES, ""))


@transaction.atomic
def status_set(call_id: int, *, channel_id: int) -> None:
    """The channel says that we record; what was left of that there is the same."""
    left = DiscordCall.objects.filter(status_on=str(channel_id)).exclude(pk=call_id)
    for pk in left.values_list("pk", flat=True):
        undone(pk, what=["status_on"])
    _note(call_id, status_on=str(channel_id), undone_at=None)


def panel_posted(call_id: int, *, panel_id: int) -> None:
    _note(call_id, panel_id=str(panel_id))


def panel_tried(call_id: int, *, done: bool) -> None:
    """Whether it says that all is over, or cannot any more; else it is tried again."""
    if done:
        _note(call_id, panel_id="")
    else:
        failed(call_id, error="panel")


def panels_left() -> list[DiscordCall]:
    """Calls that have ended, and that nobody has said so of: not in their panel, and
    maybe nowhere."""
    rows = DiscordCall.objects.exclude(panel_id="")
    over = rows.exclude(session=None).exclude(session__in=queries.active())
    return list(over.select_related("session").order_by("pk"))


def panels_stale(
    guild_ids: Iterable[int], *, now: datetime | None = None
) -> list[DiscordCall]:
    """Those of them that the end of their call has left behind, and that are due to be
    tried."""
    now = now or timezone.now()
    guilds = {str(one) for one in guild_ids}
    return [
        row
        for row in panels_left()
        if row.guild_id in guilds
        if row.session and (row.session.ended_at or now) <= now - STALE_AFTER
        if _is_due(row, now)
    ]


def mirrored(call_id: int, *, seq: int) -> None:
    _note(call_id, mirrored_to=seq)


def undone(call_id: int, *, what: Iterable[str]) -> None:
    """These fields name nothing any more. Whoever was last marks the whole."""
    _note(call_id, **dict.fromkeys(what, ""))
    open_ = Q(room_id="", room_name="", nickname="", status_on="")
    DiscordCall.objects.filter(open_, pk=call_id, undone_at=None).update(
        undone_at=timezone.now(), error=""
    )


def failed(call_id: int, *, error: str) -> None:
    """Something could not be undone: it is an orphan, and tried again."""
    _note(call_id, attempts=F("attempts") + 1, error=error[:ERROR_MAX])


def left_behind() -> QuerySet[DiscordCall]:
    """Calls that are over, and of which something is still there."""
    alive = queries.active().values("pk")
    return DiscordCall.objects.filter(undone_at=None).exclude(session__in=alive)


def orphans(
    guild_ids: Iterable[int], *, now: datetime | None = None
) -> list[DiscordCall]:
    """What calls that have ended left in these guilds, and is due to be tried."""
    now = now or timezone.now()
    rows = left_behind().filter(guild_id__in=[str(one) for one in guild_ids])
    return [row for row in rows.select_related("session") if _is_due(row, now)]


def namesakes(call: DiscordCall) -> list[str]:
    """The rooms, "" while one is being made, of calls that live and have made theirs
    for the same user by the same name."""
    alike = DiscordCall.objects.filter(
        guild_id=call.guild_id, user_id=call.user_id, room_name=call.room_name
    )
    living = alike.filter(session__in=queries.active()).exclude(pk=call.pk)
    return list(living.values_list("room_id", flat=True))


def still_left(call_id: int) -> DiscordCall | None:
    """It as it is now; None where all of it has been undone meanwhile."""
    return left_behind().filter(pk=call_id).first()


def due_now(call_ids: Iterable[int]) -> int:
    """Have the next sweep try these again; how many of them have something left."""
    return left_behind().filter(pk__in=list(call_ids)).update(attempts=0)


def forget_ownerless() -> int:
    """Delete what is undone and whose session was deleted; how many."""
    rows = DiscordCall.objects.filter(session=None).exclude(undone_at=None)
    return rows.delete()[0]


def forget_user(user_id: str, *, before: datetime) -> int:
    """Take a person out of the sessions they asked for until a moment, and out of what
    was done for them, where that is over; how many of the sessions still are not."""
    theirs = VoiceSession.objects.filter(
        source=Source.DISCORD, user_id=user_id, created_at__lte=before
    )
    over = theirs.exclude(state__in=(*queries.ALIVE, State.FINISHING))
    # A room is called like whoever asked for it, and its session like the room.
    over.filter(title__startswith=ROOM_TITLE).update(title=NO_TITLE)
    over.update(user_id="")
    calls = DiscordCall.objects.filter(user_id=user_id, created_at__lte=before)
    # Till all is undone, rooms are known by it.
    calls = calls.exclude(undone_at=None).exclude(session__in=queries.active())
    calls.update(user_id="")
    return theirs.count()


def _is_due(call: DiscordCall, now: datetime) -> bool:
    ended = call.session.ended_at if call.session else None
    wait = min(AGAIN_AFTER * 2 ** min(call.attempts, 10), AGAIN_MAX)
    return call.attempts == 0 or now >= (ended or call.created_at) + wait


def _note(call_id: int, **fields: Any) -> None:
    DiscordCall.objects.filter(pk=call_id).update(**fields)
