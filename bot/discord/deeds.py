"""THE writer of DiscordCall: what we did in a guild, and whether it is undone.

Asks nothing of Discord: `undo` does, and tells here.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Q
from django.utils import timezone

from bot.models import DiscordCall
from sessions import queries
from sessions.models import VoiceSession

ERROR_MAX = 200
AGAIN_AFTER = timedelta(seconds=30)
"""What could not be undone is tried again, later each time."""
AGAIN_MAX = timedelta(hours=1)


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
    _note(call_id, room_id=str(room_id))


def in_channel(session_id: int, *, channel_id: int) -> None:
    """Where a session takes place: a moderator may move us."""
    VoiceSession.objects.filter(pk=session_id).update(channel_id=str(channel_id))


def renamed(call_id: int, *, nickname: str, before: str) -> None:
    _note(call_id, nickname=nickname, nickname_before=before)


def status_set(call_id: int, *, channel_id: int) -> None:
    _note(call_id, status_on=str(channel_id))


def panel_posted(call_id: int, *, panel_id: int) -> None:
    _note(call_id, panel_id=str(panel_id))


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


def orphans(
    guild_ids: Iterable[int], *, now: datetime | None = None
) -> list[DiscordCall]:
    """What calls that have ended left in these guilds, and is due to be tried."""
    now = now or timezone.now()
    alive = queries.active().values("pk")
    rows = DiscordCall.objects.filter(
        guild_id__in=[str(one) for one in guild_ids], undone_at=None
    ).exclude(session__in=alive)
    return [row for row in rows.select_related("session") if _is_due(row, now)]


def _is_due(call: DiscordCall, now: datetime) -> bool:
    ended = call.session.ended_at if call.session else None
    wait = min(AGAIN_AFTER * 2 ** min(call.attempts, 10), AGAIN_MAX)
    return call.attempts == 0 or now >= (ended or call.created_at) + wait


def _note(call_id: int, **fields: Any) -> None:
    DiscordCall.objects.filter(pk=call_id).update(**fields)
