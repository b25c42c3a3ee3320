"""A link: the voice connection of one call, kept up until the call is over.

discord.py's clients come and go; what is heard goes to the same place. Why one ended
and what is done about it is in `closes`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import discord
import structlog

from bot.discord import closes
from bot.discord.closes import Remedy
from bot.discord.connection import ListeningClient
from sessions.background import cancel_and_wait, spawn
from sessions.errors import VoiceError

if TYPE_CHECKING:
    from bot.discord.receive import Receiver, Sink

log = structlog.get_logger(__name__)

JOIN_WITHIN_S = 10.0
LOOK_EVERY_S = 2.0
"""discord.py forgets its voice clients with a new session of the main gateway."""
FAREWELL_S = 1.0
"""Until Discord has said that we are out: its word would end the next connection."""
LEAVE_WITHIN_S = 5.0


class LinkError(VoiceError):
    """We did not get into the channel: `code` as in the notices."""


@dataclass(slots=True)
class Outages:
    """What a call's link went through."""

    reconnects: int = 0
    longest_s: float = 0.0


class Link:
    """Belongs to one call and to the client's event loop."""

    def __init__(
        self,
        discord_: discord.Client,
        channel: discord.VoiceChannel | discord.StageChannel,
        *,
        sink: Sink,
        accepts: Callable[[int], bool],
        ended: Callable[[str], None],
        connected: Callable[[ListeningClient], None] = lambda client: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ended` is told once, with a reason, when the connection is lost for good;
        `connected` of every connection."""
        self.channel_id = channel.id
        self.guild_id = channel.guild.id
        self.outages = Outages()
        self.client: ListeningClient | None = None
        self._discord = discord_
        self._sink, self._accepts = sink, accepts
        self._ended, self._connected = ended, connected
        self._clock = clock
        self._keeper: asyncio.Task[None] | None = None
        self._is_closed = False
        self._look = asyncio.Event()
        self.receivers: list[Receiver] = []
        """Of each connection so far."""

    @property
    def channel(self) -> Any:
        """Where we are by now: a moderator may have moved us."""
        if self.client is not None and self.client.channel is not None:
            self.channel_id = self.client.channel.id
        return self._discord.get_channel(self.channel_id)

    async def open(self) -> None:
        """Connect for the first time. Raises LinkError."""
        self.client = await self._connect()
        self._keeper = spawn(self._keep(), name="discord.link")

    async def close(self) -> None:
        """Leave the channel. May be called again, and while it connects."""
        self._is_closed = True
        keeper, self._keeper = self._keeper, None
        if keeper is not None and keeper is not asyncio.current_task():
            await cancel_and_wait(keeper)
        client, self.client = self.client, None
        if client is not None:
            await leave(client)

    def look(self) -> None:
        """Something happened to the main gateway: look whether we are still in."""
        self._look.set()

    async def _keep(self) -> None:
        while self.client is not None:
            client = self.client
            await self._lost(client)
            since, remedy = self._clock(), client.remedy
            if client.close_code is not None and remedy is Remedy.GIVE_UP:
                log.error("discord.voice", why=closes.reason(client.close_code))
            if remedy is not Remedy.RECONNECT:
                self._end("kicked" if remedy is Remedy.LEAVE else "disconnected")
                return
            await leave(client)
            self.client = await self._again()
            if self.client is None:
                self._end("disconnected")
                return
            self.outages.reconnects += 1
            gap_s = self._clock() - since
            self.outages.longest_s = max(self.outages.longest_s, gap_s)
            log.info("discord.reconnected", guild=self.guild_id, gap_s=round(gap_s, 2))

    async def _lost(self, client: ListeningClient) -> None:
        """Until the connection has ended, or discord.py has lost sight of it."""
        over = spawn(client.over(), name="discord.over")
        try:
            while not over.done() and self._is_known(client):
                look = spawn(self._look.wait(), name="discord.look")
                await asyncio.wait(
                    [over, look],
                    timeout=LOOK_EVERY_S,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                look.cancel()
                self._look.clear()
        finally:
            over.cancel()

    def _is_known(self, client: ListeningClient) -> bool:
        guild = self._discord.get_guild(self.guild_id)
        return guild is not None and guild.voice_client is client

    async def _again(self) -> ListeningClient | None:
        attempt = 0
        while (wait_s := closes.backoff_s(attempt)) is not None:
            await asyncio.sleep(wait_s)
            attempt += 1
            try:
                return await self._connect()
            except LinkError as e:
                log.info("discord.not_reconnected", guild=self.guild_id, code=e.code)
                if e.code == "channel_gone":
                    return None
        return None

    async def _connect(self) -> ListeningClient:
        channel = self.channel
        if channel is None:
            raise LinkError("channel_gone", "The channel is no more.")
        await self._farewell(channel.guild)
        try:
            client: ListeningClient = await channel.connect(
                cls=self._new_client, reconnect=False, timeout=JOIN_WITHIN_S
            )
        except TimeoutError as e:
            await self._forget(channel.guild)
            raise LinkError("connect_failed", "Discord did not let us in.") from e
        except (discord.DiscordException, OSError) as e:
            await self._forget(channel.guild)
            code = getattr(e, "code", None)
            log.warning("discord.not_connected", code=code, why=type(e).__name__)
            raise LinkError("connect_failed", "Discord did not let us in.") from e
        except BaseException:
            await self._forget(channel.guild)
            raise
        self._connected(client)
        return client

    def _new_client(
        self, client: discord.Client, channel: discord.abc.Connectable
    ) -> ListeningClient:
        made = ListeningClient(client, channel, sink=self._sink, accepts=self._accepts)
        self.receivers.append(made.receiver)
        return made

    async def _farewell(self, guild: discord.Guild) -> None:
        """Wait until Discord knows that we are out, from the time before."""
        until = self._clock() + FAREWELL_S
        # A voice client that is over is told nothing any more: so it is looked for.
        while guild.me.voice is not None and self._clock() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    async def _forget(self, guild: discord.Guild) -> None:
        """What is left of a try that failed."""
        if isinstance(left := guild.voice_client, ListeningClient):
            await leave(left)

    def _end(self, reason: str) -> None:
        if not self._is_closed:
            self._ended(reason)


async def leave(client: ListeningClient) -> None:
    """Out of the channel, whatever state the connection is in."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LEAVE_WITHIN_S):
            await client.leave()
    if not client.is_over:
        client.cleanup()
