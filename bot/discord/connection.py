"""Our end of a Discord voice connection: discord.py's, with what it lacks to receive.

discord.py connects, negotiates the keys and sends. Its private names that are used here
are in `NEEDED`, and a test asks each release for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

import discord
import structlog
from discord.gateway import DiscordVoiceWebSocket
from discord.utils import MISSING
from discord.voice_state import ConnectionFlowState, VoiceConnectionState

from bot.discord import closes
from bot.discord.closes import Remedy
from bot.discord.receive import Receiver, Sink
from sessions.background import spawn

log = structlog.get_logger(__name__)

KEEPALIVE_S = 5.0
"""A router forgets a UDP road that nothing travels on; Discord's clients do this."""
ANNOUNCED = (
    DiscordVoiceWebSocket.MLS_ANNOUNCE_COMMIT_TRANSITION,
    DiscordVoiceWebSocket.MLS_WELCOME,
)
"""Binary messages that carry the number of a transition behind their kind."""
NEEDED: dict[type, tuple[str, ...]] = {
    discord.VoiceClient: ("create_connection_state", "cleanup", "supported_modes"),
    VoiceConnectionState: (
        *("add_socket_listener", "disconnect", "soft_disconnect", "send_packet"),
        *("_connect_websocket", "_recover_from_invalid_commit", "reinit_dave_session"),
    ),
    DiscordVoiceWebSocket: ("from_connection_state", "received_binary_message"),
}


class WebSocket(DiscordVoiceWebSocket):
    """One bad message of the key exchange must not end the whole connection."""

    _connection: Connection

    async def poll_event(self) -> None:
        try:
            await super().poll_event()
        except discord.ConnectionClosed as e:
            # discord.py keeps some of them to itself.
            self._connection.close_code = e.code
            raise

    async def received_binary_message(self, msg: bytes) -> None:
        if msg[2] in ANNOUNCED:
            self._connection.transition = int.from_bytes(msg[3:5], "big")
        try:
            await super().received_binary_message(msg)
        except (ValueError, RuntimeError) as e:  # what davey raises
            log.warning("discord.bad_key_message", op=msg[2], error=str(e))
            await self._connection.renew_keys()


class Connection(VoiceConnectionState):
    """Wakes its reader before the socket is closed: else that is deaf for up to 30 s,
    in a `select` on a socket that is no more."""

    transition = 0
    """The newest change of the group's keys."""
    close_code: int | None = None
    """The voice gateway's, when it closed; also when it is gone on with elsewhere."""

    async def renew_keys(self) -> None:
        """Ask the group to take us out and in again: our keys are not theirs."""
        await self._recover_from_invalid_commit(self.transition)

    async def disconnect(self, **how: Any) -> None:
        self._wake_reader()
        await super().disconnect(**how)

    async def soft_disconnect(self, **how: Any) -> None:
        self._wake_reader()
        await super().soft_disconnect(**how)

    async def _connect_websocket(
        self,
        resume: bool,  # noqa: FBT001 (discord.py's)
    ) -> DiscordVoiceWebSocket:
        seq_ack = -1 if self.ws is MISSING else self.ws.seq_ack
        ws = await WebSocket.from_connection_state(
            self, resume=resume, hook=self.hook, seq_ack=seq_ack
        )
        self.state = ConnectionFlowState.websocket_connected
        self.close_code = None
        return ws

    def _wake_reader(self) -> None:
        self._socket_reader.pause()
        if self.socket:
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)


class ListeningClient(discord.VoiceClient):
    """A voice client that hears. `connect` it with `reconnect=False`: who reconnects,
    and whether, is decided elsewhere."""

    _connection: Connection
    # The one of `rtp`'s that discord.py can send, too.
    supported_modes = ("aead_xchacha20_poly1305_rtpsize",)

    def __init__(
        self,
        client: discord.Client,
        channel: discord.abc.Connectable,
        *,
        sink: Sink,
        accepts: Callable[[int], bool],
    ) -> None:
        super().__init__(client, channel)
        self.receiver = Receiver(
            self._connection, sink=sink, accepts=accepts, broken=self._broken
        )
        self._connection.add_socket_listener(self.receiver.datagram)
        self._over = asyncio.Event()
        self._has_broken = False
        self._keepalive: asyncio.Task[None] | None = None

    def create_connection_state(self) -> Connection:
        return Connection(self, hook=self._told)

    @property
    def close_code(self) -> int | None:
        """The voice gateway's, when it ended the connection."""
        return self._connection.close_code

    @property
    def remedy(self) -> Remedy:
        """What to do about the end of this connection."""
        if not self.is_over or self._has_broken or self.close_code is not None:
            return closes.remedy(self.close_code)
        return Remedy.LEAVE  # the main gateway told us that we are out

    @property
    def is_over(self) -> bool:
        return self._over.is_set()

    async def leave(self) -> None:
        """Out of the channel, in whatever state the connection is. Does not wait for
        Discord's word that we are: whoever was forgotten never gets it."""
        if not self.is_over:
            await self._connection.disconnect()

    async def connect(self, **how: Any) -> None:
        await super().connect(**how)
        self._keepalive = spawn(self._keep_alive(), name="discord.keepalive")
        if (poller := self._connection._runner) is not None:
            poller.add_done_callback(self._poller_ended)

    def cleanup(self) -> None:
        super().cleanup()
        self._over.set()
        if self._keepalive is not None:
            self._keepalive.cancel()

    def _poller_ended(self, poller: asyncio.Task[None]) -> None:
        """Nobody reads the voice gateway any more: without this, discord.py would call
        the connection whole."""
        if poller.cancelled() or (error := poller.exception()) is None:
            return
        self._has_broken = True
        log.info("discord.voice_closed", code=self.close_code, why=type(error).__name__)
        if not self.is_over:
            spawn(self._connection.disconnect(), name="discord.disconnect")

    async def over(self) -> None:
        """Until the connection has ended, whoever ended it."""
        await self._over.wait()

    async def _told(self, _: DiscordVoiceWebSocket, message: dict[str, Any]) -> None:
        """discord.py's hook: what it raises would end the connection."""
        try:
            if message.get("op") == DiscordVoiceWebSocket.DAVE_PREPARE_TRANSITION:
                self._connection.transition = int(message["d"]["transition_id"])
            self.receiver.told(message)
        except (KeyError, TypeError, ValueError):
            log.exception("discord.bad_message", op=message.get("op"))

    def _broken(self) -> None:
        """On the reader's thread."""

        def renew() -> None:
            spawn(self._connection.renew_keys(), name="discord.keys")

        log.warning("discord.keys_broken", guild=self.guild.id)
        self.loop.call_soon_threadsafe(renew)

    async def _keep_alive(self) -> None:
        count = 0
        while self.is_connected():
            with contextlib.suppress(OSError):
                self._connection.send_packet(count.to_bytes(8, "little"))
            count += 1
            await asyncio.sleep(KEEPALIVE_S)
