"""Who sits in a Discord call and is not recorded: told to the session, once each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import structlog
from channels.db import database_sync_to_async

from sessions import optout

if TYPE_CHECKING:
    from bot.discord.optouts import Admission
    from sessions.models import VoiceSession

log = structlog.get_logger(__name__)


async def note(
    session: VoiceSession,
    users: Iterable[int],
    *,
    admission: Admission,
    name_of: Callable[[int], str],
) -> None:
    """Those of them whose voice is not taken stand in the transcript as such; those
    who let themselves be recorded again are taken again."""
    taken: list[str] = []
    absent: dict[str, str] = {}
    for user in users:
        if admission.admits(user):
            taken.append(_key(user))
        else:
            absent[_key(user)] = name_of(user)
    try:
        settle = database_sync_to_async(optout.settle)
        await settle(session.pk, taken=taken, absent=absent)
    except Exception:
        # A database that is away, or a session just deleted: not worth a call.
        log.warning("discord.unrecorded_untold", session=session.pk, exc_info=True)


def _key(user: int) -> str:
    return f"discord:{user}"
