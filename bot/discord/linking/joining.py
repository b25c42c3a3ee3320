"""One try to join a voice channel: in, or out with nothing left and the reason told.

Whether there is another try is `link`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import discord
import structlog

from bot.discord.guild import rights
from bot.discord.linking import closes
from bot.discord.linking.closes import Remedy
from bot.discord.linking.connection import ListeningClient
from bot.discord.linking.voicestate import AbandonedError
from sessions.errors import VoiceError

log = structlog.get_logger(__name__)

LEAVE_WITHIN_S = 2.0

Voice = discord.VoiceChannel | discord.StageChannel
Make = Callable[[discord.Client, discord.abc.Connectable], ListeningClient]


class LinkError(VoiceError):
    """We did not get into the channel: `code` as in the notices."""

    def __init__(
        self, code: str, message: str, *, remedy: Remedy = Remedy.RECONNECT
    ) -> None:
        super().__init__(code, message)
        self.remedy = remedy


async def join(channel: Voice, *, make: Make, within_s: float) -> ListeningClient:
    """A connection that stands. Raises LinkError, MissingPermissionsError, and
    AbandonedError where it is worth another try at once."""
    require_entry(channel)
    made: list[ListeningClient] = []

    def new(
        client: discord.Client, connectable: discord.abc.Connectable
    ) -> ListeningClient:
        made.append(make(client, connectable))
        return made[0]

    try:
        return await channel.connect(cls=new, reconnect=False, timeout=within_s)
    except BaseException as e:
        # Also when cancelled: what was begun is taken back.
        for client in made:
            await leave(client)
        if isinstance(e, AbandonedError) and any(client.is_out for client in made):
            message = "A moderator sent the bot away."
            raise LinkError("kicked", message, remedy=Remedy.LEAVE) from e
        if isinstance(e, AbandonedError) or not isinstance(e, Exception):
            raise
        raise _fault(e, channel, made) from e


async def leave(client: ListeningClient) -> None:
    """Out of the channel, whatever state the connection is in."""
    try:
        async with asyncio.timeout(LEAVE_WITHIN_S):
            await client.leave()
    except TimeoutError:
        log.warning("discord.slow_leave", guild=client.guild.id)
    finally:
        if not client.is_over:
            client.cleanup()


def require_entry(channel: Voice) -> None:
    """Raises what Discord would not tell us: it is silent where we may not come in."""
    me = channel.guild.me
    may = channel.permissions_for(me)
    rights.require(may, *rights.HERE)
    inside = channel.voice_states
    is_full = 0 < channel.user_limit <= len(inside) and me.id not in inside
    if is_full and not may.move_members:
        raise LinkError("channel_full", "The channel is full.")


def give_up(client: discord.Client, guild_id: int, code: int | None) -> None:
    """Tell the operator of a code that can never work; the client, as its event
    `voice_refused`, of one that works nowhere."""
    why = closes.reason(code) if code is not None else ""
    log.error("discord.voice", guild=guild_id, code=code, why=why)
    if code == closes.DAVE_REQUIRED:
        client.dispatch("voice_refused", why)


def _fault(error: Exception, channel: Voice, made: list[ListeningClient]) -> VoiceError:
    """What is told of a try that failed, and logged once."""
    guild_id, remedy = channel.guild.id, Remedy.RECONNECT
    code = getattr(error, "code", None)
    if isinstance(error, TimeoutError):
        try:
            require_entry(channel)  # it may have filled up meanwhile
        except VoiceError as e:
            return e
    if isinstance(error, discord.ConnectionClosed):
        remedy = closes.remedy(code)
    if remedy is Remedy.GIVE_UP:
        give_up(made[0].client, guild_id, code)
    else:
        why = type(error).__name__
        log.warning("discord.not_connected", guild=guild_id, code=code, why=why)
    return LinkError("connect_failed", "Discord did not let us in.", remedy=remedy)
