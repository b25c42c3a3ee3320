"""A link: the voice connection of one call, kept up until the call is over.

discord.py's clients come and go; what is heard goes to the same place. Why one ended
and what is done about it is in `closes`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import discord
import structlog

from bot.discord.linking import closes
from bot.discord.linking.closes import Remedy
from bot.discord.linking.connection import ListeningClient
from bot.discord.linking.deafness import Deafness
from bot.discord.linking.joining import LinkError, Voice, give_up, join, leave
from bot.discord.linking.voicestate import AbandonedError
from sessions.background import Work, spawn
from sessions.errors import VoiceError

if TYPE_CHECKING:
    from bot.discord.receive import Receiver, Sink

log = structlog.get_logger(__name__)

JOIN_WITHIN_S = 10.0
ABANDONED_MAX = 3
"""Tries in a row that a moderator or a change of servers may break off."""
LOOK_EVERY_S = 2.0
"""discord.py forgets its voice clients with a new session of the main gateway."""
POLL_S = 0.02
GATEWAY_WITHIN_S = 300.0
"""How long an outage of the main gateway may be; an idle call ends after as long."""
WORD_WITHIN_S = 0.1
"""For the word that the channel is gone, behind the word that we are out of it."""
FAREWELL_S = 1.0
AGAIN_S = 0.5
"""Until a task that has not heard that it is cancelled is told so again."""


@dataclass(slots=True)
class Outages:
    """What a call's link went through."""

    reconnects: int = 0
    longest_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a link waits, and for what."""

    join_s: float = JOIN_WITHIN_S
    backoff_s: Callable[[int], float | None] = closes.backoff_s


class Link:
    """Belongs to one call and to the client's event loop."""

    def __init__(
        self,
        discord_: discord.Client,
        channel: Voice,
        *,
        sink: Sink,
        accepts: Callable[[int], bool],
        ended: Callable[[str], None],
        connected: Callable[[ListeningClient], None] = lambda client: None,
        deaf: Callable[[], None] = lambda: None,
        session: int = 0,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ended` is told once, with a reason as in the notices, when the connection is
        lost for good; `connected` of every connection; `deaf` that nothing is heard
        though somebody speaks. `session` is its row's number, for the log."""
        self.guild_id = channel.guild.id
        self.outages = Outages()
        self.client: ListeningClient | None = None
        self.receivers: list[Receiver] = []
        """Of each connection so far."""
        self._channel_id = channel.id
        self._discord = discord_
        self._sink, self._accepts = sink, accepts
        self._ended, self._connected = ended, connected
        self._session_pk = session
        self._patience = patience or Patience()
        self._clock = clock
        self._made: ListeningClient | None = None
        self._gateway_session: str | None = None
        self._opening: asyncio.Task[None] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._look = asyncio.Event()
        self._deafness = Deafness(deaf)

    @property
    def channel_id(self) -> int:
        """Where we are by now: a moderator may have moved us."""
        if self._made is not None:
            self._channel_id = self._made.channel.id
        return self._channel_id

    @property
    def channel(self) -> Any:
        return self._discord.get_channel(self.channel_id)

    async def open(self) -> None:
        """Connect for the first time, within `JOIN_WITHIN_S`. Raises LinkError and
        MissingPermissionsError."""
        self._opening = asyncio.create_task(self._connect(), name="discord.opening")
        try:
            await self._opening
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._closing is None or (task is not None and task.cancelling()):
                raise
        if self._closing is not None:
            raise LinkError("ended", "It ended before it began.")
        self._keeper = self._spawn(self._keep(), name="discord.link")

    async def close(self) -> None:
        """Leave the channel. May be called again, and while it connects; returns within
        five seconds."""
        if self._closing is None:
            self._closing = self._spawn(self._close(), name="discord.link_close")
        await asyncio.shield(self._closing)

    def look(self) -> None:
        """Something happened to the main gateway: look whether we are still in."""
        self._look.set()

    def _spawn(self, work: Work, *, name: str) -> asyncio.Task[None]:
        return spawn(work, name=name, session=self._session_pk)

    # --- keeping it up ----------------------------------------------------------------

    async def _keep(self) -> None:
        try:
            reason = await self._keep_up()
        except Exception:
            # A call must not go on believing that it hears.
            log.exception("discord.link_failed", guild=self.guild_id)
            reason = "disconnected"
        if self._closing is None:
            self._ended(reason)

    async def _keep_up(self) -> str:
        """Until it is over; why it is."""
        while (client := self.client) is not None:
            await self._lost(client)
            since = self._clock()
            remedy = self._remedy(client)
            await leave(client)
            if remedy is Remedy.GIVE_UP:
                give_up(self._discord, self.guild_id, client.close_code)
            if remedy is not Remedy.RECONNECT:
                return await self._reason(remedy)
            if reason := await self._again():
                return reason
            self.outages.reconnects += 1
            gap_s = self._clock() - since
            self.outages.longest_s = max(self.outages.longest_s, gap_s)
            log.info("discord.reconnected", guild=self.guild_id, gap_s=round(gap_s, 2))
        return "disconnected"

    async def _lost(self, client: ListeningClient) -> None:
        """Until the connection has ended, or is worth nothing any more."""
        while not client.is_over and self._is_in(client):
            if self._deafness.is_enough(client, now_s=self._clock()):
                return
            self._look.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._look.wait()

    def _is_in(self, client: ListeningClient) -> bool:
        guild = self._discord.get_guild(self.guild_id)
        if guild is None or guild.voice_client is not client:
            return False
        # Ours ends with the session of the main gateway it was made in, soon or late.
        return bool(guild.unavailable) or not self._is_anew()

    def _remedy(self, client: ListeningClient) -> Remedy:
        if self._discord.get_guild(self.guild_id) is None:
            return Remedy.LEAVE
        if self._is_anew():  # whatever was said of it since: it was no moderator
            return Remedy.RECONNECT
        if client.is_out or not client.is_over:
            return Remedy.LEAVE if client.is_out else Remedy.RECONNECT
        if client.close_code == closes.DISCONNECTED and self._session() is None:
            return Remedy.RECONNECT  # Discord's code also for the end of that session
        return client.remedy

    def _is_anew(self) -> bool:
        return self._session() not in (None, self._gateway_session)

    def _session(self) -> str | None:
        """The main gateway's, while its line is open."""
        gateway = self._discord._get_websocket(self.guild_id)
        return gateway.session_id if gateway is not None and gateway.open else None

    async def _reason(self, remedy: Remedy) -> str:
        if remedy is not Remedy.LEAVE:
            return "disconnected"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WORD_WITHIN_S):
                await _becomes(lambda: self.channel is None)
        if self._discord.get_guild(self.guild_id) is None:
            return "guild_removed"
        return "kicked" if self.channel is not None else "channel_deleted"

    async def _again(self) -> str:
        """Connect anew; why it was given up, or nothing."""
        for attempt in itertools.count():
            wait_s = self._patience.backoff_s(attempt)
            if wait_s is None or not await self._is_reachable():
                break
            await asyncio.sleep(wait_s)
            try:
                await self._connect()
            except VoiceError as e:
                log.info("discord.not_reconnected", guild=self.guild_id, code=e.code)
                remedy = e.remedy if isinstance(e, LinkError) else Remedy.RECONNECT
                if remedy is not Remedy.RECONNECT:
                    return await self._reason(remedy)
            else:
                return ""
        log.error("discord.link_lost", guild=self.guild_id, tries=attempt)
        return "disconnected"

    async def _is_reachable(self) -> bool:
        """Whether Discord's main gateway and our guild are there, or come back."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GATEWAY_WITHIN_S):
                await _becomes(self._is_there)
        return self._is_there()

    def _is_there(self) -> bool:
        guild = self._discord.get_guild(self.guild_id)
        return self._session() is not None and (guild is None or not guild.unavailable)

    # --- connecting -------------------------------------------------------------------

    async def _connect(self) -> None:
        """Raises LinkError and MissingPermissionsError; nothing of it is left then."""
        for tries_left in reversed(range(ABANDONED_MAX)):
            try:
                channel = self.channel
                if channel is None:
                    message = "The channel is no more."
                    raise LinkError("channel_gone", message, remedy=Remedy.LEAVE)
                self.client = client = await join(
                    channel, make=self._new_client, within_s=self._patience.join_s
                )
                break
            except AbandonedError as e:
                log.info("discord.join_abandoned", guild=self.guild_id, why=str(e))
                if not tries_left:
                    message = "Discord sent the bot about."
                    raise LinkError("connect_failed", message) from e
        self._gateway_session = self._session()
        self._connected(client)

    def _new_client(
        self, client: discord.Client, channel: discord.abc.Connectable
    ) -> ListeningClient:
        self._made = made = ListeningClient(
            client,
            channel,
            sink=self._sink,
            accepts=self._accepts,
            ended=self._look.set,
        )
        self.receivers.append(made.receiver)
        return made

    # --- the end ----------------------------------------------------------------------

    async def _close(self) -> None:
        for task in (self._opening, self._keeper):
            # asyncio 3.11's `wait_for`, which discord.py uses, may swallow one.
            while task is not None and not task.done():
                task.cancel()
                await asyncio.wait([task], timeout=AGAIN_S)
        client, self.client = self.client, None
        if client is not None:
            await leave(client)
        if self._made is not None and not await self._is_left():
            self._spawn(self._leave_later(), name="discord.farewell")

    async def _is_left(self) -> bool:
        """Whether Discord has said that we are out."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                await _becomes(self._is_out)
        return self._is_out()

    def _is_out(self) -> bool:
        """Or that it is no longer for us to leave."""
        guild = self._discord.get_guild(self.guild_id)
        is_in = guild and guild.me is not None and guild.me.voice is not None
        return not is_in or (guild is not None and guild.voice_client is not None)

    async def _leave_later(self) -> None:
        """The main gateway was away when we left: it is told when it is back."""
        until = self._clock() + GATEWAY_WITHIN_S
        while not self._is_out() and not self._discord.is_closed():
            if self._clock() > until:
                return
            guild = self._discord.get_guild(self.guild_id)
            if guild is not None and self._is_there():
                with contextlib.suppress(discord.DiscordException, OSError):
                    await guild.change_voice_state(channel=None)
            await asyncio.sleep(FAREWELL_S)


async def _becomes(condition: Callable[[], bool]) -> None:
    # What discord.py knows changes without a word to us.
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(POLL_S)
