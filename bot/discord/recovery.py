"""After a start: what another process of ours left, by the database and by Discord.

Where people still sit there, the call goes on with its time zero; all else is ended and
undone. Requests that had got nothing wait again in their place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from channels.db import database_sync_to_async

from bot.models import DiscordCall
from sessions import finish, queries, queue
from sessions.models import Source, State, VoiceSession

if TYPE_CHECKING:
    from bot.discord.operator import Operator

log = structlog.get_logger(__name__)


async def recover(operator: Operator) -> None:
    """Once, when the guilds are known and before anything new is served."""
    client = operator.client
    guilds = [str(guild.id) for guild in client.guilds]
    await database_sync_to_async(queue.put_back_of)(operator.holder)
    for session in await database_sync_to_async(_left)(guilds):
        try:
            await _take_up(operator, session)
        except Exception:
            # One call that cannot be taken up must not keep the others down.
            log.exception("discord.not_recovered", session=session.pk)


def _left(guild_ids: list[str]) -> list[VoiceSession]:
    found = queries.active().filter(source=Source.DISCORD, guild_id__in=guild_ids)
    return list(found.order_by("pk"))


async def _take_up(operator: Operator, session: VoiceSession) -> None:
    deed = await database_sync_to_async(_deed)(session.pk)
    if session.state == State.ACTIVE and session.stop_requested_at is not None:
        await finish.close(session.pk, reason="recovered")
        return
    resumed = False
    if deed is not None and session.state in (State.WAITING, State.ACTIVE):
        resumed = await operator.resume(session, deed)
    log.info("discord.recovered", session=session.pk, resumed=resumed)


def _deed(session_id: int) -> DiscordCall | None:
    return DiscordCall.objects.filter(session=session_id).first()
