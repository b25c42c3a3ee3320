"""After a start: what another process of ours left, by the database and by Discord.

Where people still sit there, the call goes on with its time zero; all else is ended and
undone, and its panel says so. Requests that had got nothing wait again in their place.
Of what was not to be kept, nothing is.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog
from channels.db import database_sync_to_async

from bot.discord.guild import deeds
from bot.discord.text import lines
from bot.discord.unbroken import insist
from sessions import finish, queries, queue
from sessions.models import Source, State, VoiceSession

if TYPE_CHECKING:
    import discord

    from bot.discord.operator import Operator
    from bot.models import DiscordCall

log = structlog.get_logger(__name__)


async def recover(operator: Operator) -> None:
    """Once, when the guilds are known and before anything new is served."""
    client = operator.client
    find = database_sync_to_async(_left)
    alive = await insist(lambda: find(operator.holder))
    sessions = [one for one in alive if _is_ours(client, one.guild_id)]
    # All at once: in each of their channels somebody speaks unheard.
    await asyncio.gather(*(_take_up(operator, session) for session in sessions))
    taken_up = {session.pk for session in sessions}  # their own end concludes them
    panels = database_sync_to_async(deeds.panels_left)
    for deed in await insist(panels):
        if deed.session_id not in taken_up and _is_ours(client, deed.guild_id):
            await _conclude(operator, deed)
    unkept = database_sync_to_async(_unkept)
    for session in await insist(unkept):
        if _is_ours(client, session.guild_id):
            await _forget(session)


async def _forget(session: VoiceSession) -> None:
    try:
        await asyncio.to_thread(lines.forget_session, session)
    except OSError:
        log.exception("discord.lines_left", session=session.pk)


def _unkept() -> list[VoiceSession]:
    """What is over and was not to be kept: its process may have died before that."""
    over = VoiceSession.objects.filter(source=Source.DISCORD, record=False)
    return list(over.exclude(state__in=queries.ALIVE).only("public_id", "guild_id"))


def _left(holder: str) -> list[VoiceSession]:
    queue.put_back_of(holder)
    found = queries.active().filter(source=Source.DISCORD)
    return list(found.order_by("pk"))


def _is_ours(client: discord.Client, guild_id: str) -> bool:
    """By its shard: also a guild that has thrown us out meanwhile is somebody's."""
    shards: list[int] | None = getattr(client, "shard_ids", None)
    if shards is None:
        return True
    return (int(guild_id) >> 22) % (client.shard_count or 1) in shards


async def _take_up(operator: Operator, session: VoiceSession) -> None:
    if session.state == State.REQUESTED:
        return  # of a holder with another name: it waits again when its lease runs out
    resumed = False
    find = database_sync_to_async(deeds.of_session)
    try:
        deed = await insist(lambda: find(session.pk))
        resumed = deed is not None and await operator.resume(session, deed)
        if session.stop_requested_at is not None:
            # Its end had begun; whose that was is dead.
            await finish.close(session.pk, reason="recovered")
    except Exception:
        # One call that cannot be taken up must not keep the others down, nor stay open.
        log.exception("discord.not_recovered", session=session.pk)
        await _end(session)
    log.info("discord.recovered", session=session.pk, resumed=resumed)


async def _end(session: VoiceSession) -> None:
    try:
        await insist(lambda: finish.end(session.pk, reason="crashed"))
    except Exception:
        log.exception("discord.not_ended", session=session.pk)  # as above


async def _conclude(operator: Operator, deed: DiscordCall) -> None:
    assert deed.session is not None  # those without are not among them
    try:
        await operator.conclude(deed.session, deed)
    except Exception:
        # As above; this one stands as it is until the next start.
        log.exception("discord.not_concluded", call=deed.pk)
