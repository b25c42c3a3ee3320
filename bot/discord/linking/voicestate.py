"""The state of one voice connection: discord.py's, but for what it does about an end.

What the two gateways say is followed where the same session goes on elsewhere. All
else ends it, at once and with nothing left. Never reconnects: that is `link`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import aiohttp
import discord
import structlog
from discord.utils import MISSING
from discord.voice_state import ConnectionFlowState, VoiceConnectionState

from bot.discord.linking import closes
from bot.discord.linking.reader import SocketReader
from bot.discord.linking.voicesocket import WebSocket
from sessions.background import spawn

if TYPE_CHECKING:
    from discord.gateway import DiscordVoiceWebSocket
    from discord.types.voice import GuildVoiceState, VoiceServerUpdate

log = structlog.get_logger(__name__)

NEWS_WITHIN_S = 3.0
"""From a 4014 to the main gateway's word what it was about."""
FOLLOW_WITHIN_S = 10.0
RESUME_WITHIN_S = 1.5
SAID_WITHIN_S = 1.0
"""For the main gateway to take our word that we leave: it may be rate-limited."""
READER_WITHIN_S = 0.5
"""For a packet that is just being read; it takes a millisecond."""
UNREAD_BYTES = 1 << 20
"""Room for what nobody has read yet, as far as the system lends it. A packet counts for
a kilobyte: Linux's own share is half a second of ten who talk at once."""
ADVISE_AFTER = 3
RECOVERIES_MAX = 5
"""In a row, without a good frame; Craig's measure."""
EXPECTING = (
    ConnectionFlowState.disconnected,
    ConnectionFlowState.set_guild_voice_state,
    ConnectionFlowState.got_voice_state_update,
    ConnectionFlowState.connected,
)
"""States in which discord.py does right by the name of a server."""

NEWS = (
    ConnectionFlowState.got_voice_server_update,
    ConnectionFlowState.got_both_voice_updates,
    ConnectionFlowState.disconnected,
)
"""States that what the main gateway says behind a 4014 leads to."""


class AbandonedError(Exception):
    """This try to connect leads nowhere: a new one has to be made."""


class Recoveries:
    """How often in a row a group was asked to take us in anew, without a good frame."""

    def __init__(self, opened: Callable[[], int], *, guild_id: int) -> None:
        """`opened`: how many frames have been so far."""
        self.count = 0
        self._opened, self._opened_before = opened, 0
        self._guild_id = guild_id

    def another(self) -> bool:
        """Whether it is worth one more."""
        if (opened := self._opened()) != self._opened_before:
            self.count, self._opened_before = 0, opened
        self.count += 1
        if self.count == ADVISE_AFTER:
            self._log("change the voice channel's region")
        elif self.count == RECOVERIES_MAX + 1:
            self._log("change the voice channel's region, and call the bot again")
        return self.count <= RECOVERIES_MAX

    def _log(self, advice: str) -> None:
        log.warning(
            "discord.keys_stay_broken",
            guild=self._guild_id,
            recoveries=min(self.count, RECOVERIES_MAX),
            advice=advice,
        )


class Connection(VoiceConnectionState):
    """One connection, from our word that we come to the end, whoever ends it. After
    that, nothing of it runs or is open."""

    recoveries: Recoveries
    transition = 0
    """The newest change of the group's keys."""
    close_code: int | None = None
    """The voice gateway's, when it closed; also when it is gone on with elsewhere."""
    is_out = False
    """The main gateway has said that we are in no channel any more."""
    failure: Exception | None = None
    """Why a try to connect was broken off by ourselves."""
    _has_come = False
    _is_promised = False
    """A voice server, though we have not heard of it yet."""
    _ending: asyncio.Task[None] | None = None

    @property
    def _socket_reader(self) -> Any:
        """Ours, from the first moment: discord.py's would be a thread."""
        return self._reader

    @_socket_reader.setter
    def _socket_reader(self, _: Any) -> None:
        self._reader = SocketReader(self)

    @property
    def came_s(self) -> float:
        """When the datagram came that is handed on, for its listeners."""
        return self._reader.came_s

    # --- keys -------------------------------------------------------------------------

    async def renew_keys(self) -> None:
        """Ask the group to take us out and in again: our keys are not theirs."""
        with contextlib.suppress(OSError):  # closed just now
            await self._recover_from_invalid_commit(self.transition)

    async def _recover_from_invalid_commit(self, transition_id: int) -> None:
        if self.recoveries.another():
            await super()._recover_from_invalid_commit(transition_id)

    # --- what the main gateway says ---------------------------------------------------

    async def voice_state_update(self, data: GuildVoiceState) -> None:
        if data["channel_id"] is None:
            if self._has_come and self._ending is None:
                self.is_out = True
                await self.end()
            return  # else it is the end of the connection before this one
        self._has_come = True
        if self._is_elsewhere(int(data["channel_id"])):
            self._update_voice_channel(int(data["channel_id"]))
            await self._abandon(AbandonedError("moved"))
            return
        before = self.voice_client.channel
        await super().voice_state_update(data)
        self._is_promised |= self.voice_client.channel != before

    async def voice_server_update(self, data: VoiceServerUpdate) -> None:
        endpoint = data.get("endpoint")
        known = self.token, self.endpoint
        told = data["token"], (endpoint or "").removeprefix("wss://")
        if self.state not in EXPECTING and endpoint and told != known:
            # discord.py would go on, and with half of the old server.
            await self._abandon(AbandonedError("the server has changed"))
            return
        self._is_promised = not endpoint
        await super().voice_server_update(data)

    def _is_elsewhere(self, channel_id: int) -> bool:
        """Whether a moderator moves us while we are still connecting."""
        is_underway = self.state not in EXPECTING
        return is_underway and channel_id != self.voice_client.channel.id

    def _update_voice_channel(self, channel_id: int | None) -> None:
        # discord.py asks the guild, which a new session of the gateway replaces.
        found = self.voice_client.client.get_channel(channel_id or 0)
        if isinstance(found, discord.VoiceChannel | discord.StageChannel):
            self.voice_client.channel = found

    # --- connecting -------------------------------------------------------------------

    async def _wrap_connect(self, *how: Any) -> None:
        """discord.py's, but for a traceback in the log whatever the reason."""
        try:
            await self._connect(*how)
        except BaseException:
            await self.disconnect()
            raise

    async def _connect(self, reconnect: bool, timeout: float, *how: bool) -> None:  # noqa: FBT001
        """discord.py's, but for its task in the task, whose error nobody asks for when
        it is cancelled."""
        self_deaf, self_mute, resume = how
        async with asyncio.timeout(timeout):
            await self._inner_connect(
                reconnect=reconnect,
                self_deaf=self_deaf,
                self_mute=self_mute,
                resume=resume,
            )
        polling = self._poll_voice_ws(reconnect)
        self._runner = asyncio.create_task(polling, name="Voice websocket poller")

    async def _connect_websocket(
        self,
        resume: bool,  # noqa: FBT001 (discord.py's)
    ) -> DiscordVoiceWebSocket:
        ws = await self._new_websocket(resume=resume)
        self.state = ConnectionFlowState.websocket_connected
        return ws

    async def _new_websocket(self, *, resume: bool) -> WebSocket:
        seq_ack = -1 if self.ws is MISSING else self.ws.seq_ack
        return await WebSocket.from_connection_state(
            self, resume=resume, hook=self.hook, seq_ack=seq_ack
        )

    def _create_socket(self) -> None:
        """discord.py's leaves the one before open where its name is told twice."""
        self._socket_reader.pause()
        if self.socket:
            self.socket.close()
        super()._create_socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UNREAD_BYTES)

    async def _abandon(self, why: Exception) -> None:
        """Ends it; whoever waits for it to connect is told why."""
        self.failure = why
        await self.end()

    async def _wait_for_state(
        self,
        state: ConnectionFlowState,
        *other_states: ConnectionFlowState,
        timeout: float | None = None,
    ) -> None:
        """discord.py's sleeps through a state that comes while it begins to wait."""
        async with asyncio.timeout(timeout):
            while self.state not in (state, *other_states):
                await self._state_event.wait()

    # --- the voice gateway ------------------------------------------------------------

    async def _poll_voice_ws(self, reconnect: bool) -> None:  # noqa: FBT001
        """discord.py's waits in vain after some codes, and keeps others to itself."""
        try:
            while await self._go_on():
                pass
        except Exception as e:
            # Whatever it was: without this task nobody reads the voice gateway.
            code = int(e.code) if isinstance(e, discord.ConnectionClosed) else None
            self.close_code = code or self.close_code
            why = type(e).__name__
            log.info("discord.voice_broken", guild=self.guild.id, code=code, why=why)
        await self.disconnect()

    async def _go_on(self) -> bool:
        """One more message. False when there will be none."""
        try:
            await self.ws.poll_event()
        except discord.ConnectionClosed as e:
            if self.state is ConnectionFlowState.disconnected:
                return False  # we have closed it
            self.close_code = code = int(e.code)  # aiohttp's are of an enum
            log.info("discord.voice_closed", guild=self.guild.id, code=code)
            if code == closes.DISCONNECTED:
                return await self._follow()
            return code == closes.SERVER_CRASHED and await self._resume()
        return True

    async def _follow(self) -> bool:
        """We were moved, the server has changed, or we are out: the main gateway says
        which. Raises what connecting raises, and TimeoutError."""
        before = self.ws
        try:
            await self._hear_news()
            if self.state is ConnectionFlowState.disconnected:
                return False
            self.close_code = None
            async with asyncio.timeout(FOLLOW_WITHIN_S):
                self.ws = await self._connect_websocket(resume=False)
                await self._handshake_websocket()
        finally:
            await before.close()
        return True

    async def _hear_news(self) -> None:
        try:
            await self._wait_for_state(*NEWS, timeout=NEWS_WITHIN_S)
        except TimeoutError:
            if not self._is_promised:
                raise
            self.close_code = None
            await self._wait_for_state(*NEWS, timeout=FOLLOW_WITHIN_S)

    async def _resume(self) -> bool:
        """The same session over a new line: the sound has never stopped. Raises what
        connecting to another server raises, if we are sent there meanwhile."""
        before = self.ws
        is_resumed = is_moved = False
        try:
            async with asyncio.timeout(RESUME_WITHIN_S):
                self.ws = ws = await self._new_websocket(resume=True)
                while not ws.is_resumed:
                    await ws.poll_event()
            is_resumed = True
        except discord.ConnectionClosed as e:
            is_moved = e.code == closes.DISCONNECTED
        except (aiohttp.ClientError, OSError):  # TimeoutError is one
            pass
        finally:
            await before.close()
        if is_moved or not self.is_connected():
            return await self._follow()
        log.info("discord.voice_resumed", guild=self.guild.id, done=is_resumed)
        return is_resumed

    # --- the end ----------------------------------------------------------------------

    async def end(self) -> None:
        """Out of the channel, and nothing left, whatever is going on."""
        for task in (self._connector, self._runner):  # discord.py forgets them
            if task is not None:
                task.cancel()
        await self.disconnect()

    async def disconnect(self, **how: Any) -> None:
        """discord.py's, once, whoever asks for it first."""
        self._socket_reader.pause()
        if self._ending is None:  # a second word that we leave would end what follows
            self._ending = spawn(self._disconnect(how), name="discord.disconnect")
        await asyncio.shield(self._ending)

    async def _disconnect(self, how: dict[str, Any]) -> None:
        reader, until = self._socket_reader, time.monotonic() + READER_WITHIN_S
        reader.stop()
        # Before its socket is closed: whoever has its number next would be read from.
        while reader.is_alive() and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
        await super().disconnect(**how)

    async def _voice_disconnect(self) -> None:
        try:
            async with asyncio.timeout(SAID_WITHIN_S):
                await super()._voice_disconnect()
        except Exception as e:
            # discord.py would leave the voice gateway's line open.
            log.info("discord.not_said", guild=self.guild.id, why=type(e).__name__)
        self._expecting_disconnect = True
