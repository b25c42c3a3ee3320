"""Our end of a Discord voice connection: discord.py's, with what it lacks to receive.

discord.py connects, negotiates the keys and sends. Its private names that are used here
and below are in `NEEDED` and `HELD`, and tests ask each release for them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import discord
import structlog
from discord.gateway import DiscordVoiceWebSocket
from discord.http import HTTPClient
from discord.state import ConnectionState
from discord.voice_state import SocketReader, VoiceConnectionState

from bot.discord.linking import closes
from bot.discord.linking.closes import Remedy
from bot.discord.linking.voicestate import AbandonedError, Connection, Recoveries
from bot.discord.receive import Receiver, Sink
from sessions.background import spawn

log = structlog.get_logger(__name__)

KEEPALIVE_S = 5.0
"""A router forgets a UDP road that nothing travels on; Discord's clients do this."""
NEEDED: dict[type, tuple[str, ...]] = {
    discord.VoiceClient: ("create_connection_state", "cleanup", "supported_modes"),
    VoiceConnectionState: (
        *("add_socket_listener", "disconnect", "is_connected", "send_packet"),
        *("voice_state_update", "voice_server_update", "_update_voice_channel"),
        *("_connect", "_connect_websocket", "_inner_connect", "_wrap_connect"),
        *("_create_socket", "_poll_voice_ws", "_voice_disconnect", "_wait_for_state"),
        *("_handshake_websocket", "_recover_from_invalid_commit"),
        *("reinit_dave_session", "can_encrypt"),
    ),
    DiscordVoiceWebSocket: (
        *("from_connection_state", "received_message", "received_binary_message"),
        *("close", "discover_ip", "poll_event", "RESUMED"),
    ),
    SocketReader: (
        *("start", "register", "unregister", "pause", "resume", "stop"),
    ),  # what `reader` stands in for
    ConnectionState: ("_get_voice_client",),
    discord.Client: ("_get_websocket",),
}
HELD: dict[type, tuple[str, ...]] = {
    VoiceConnectionState: (
        *("_connector", "_runner", "_expecting_disconnect", "_state_event"),
        *("_socket_reader", "hook", "secret_key", "mode", "socket", "ws"),
        *("dave_session", "dave_protocol_version"),
    ),
    DiscordVoiceWebSocket: ("_keep_alive", "_close_code", "seq_ack"),
    HTTPClient: ("_global_over",),  # `gate` has it
}
"""The same of what they set in `__init__`."""


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
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        """`ended` is told on the event loop, also of a try that came to nothing."""
        super().__init__(client, channel)
        self.receiver = Receiver(
            self._connection,
            sink=sink,
            accepts=accepts,
            broken=self._broken,
            came=lambda: self._connection.came_s,
        )
        self._connection.recoveries = Recoveries(
            lambda: self.receiver.unsealing.counts.opened, guild_id=self.guild.id
        )
        self._connection.add_socket_listener(self.receiver.datagram)
        self._over = asyncio.Event()
        self._ended = ended
        self._keepalive: asyncio.Task[None] | None = None

    def create_connection_state(self) -> Connection:
        return Connection(self, hook=self._told)

    @property
    def close_code(self) -> int | None:
        """The voice gateway's, when it ended the connection."""
        return self._connection.close_code

    @property
    def is_out(self) -> bool:
        """Whether the main gateway has told us that we are in no channel."""
        return self._connection.is_out

    @property
    def can_be_heard(self) -> bool:
        """Whether others can open what we say; discord.py says it all the same."""
        return (
            self._connection.can_encrypt or not self._connection.dave_protocol_version
        )

    @property
    def remedy(self) -> Remedy:
        """What to do about the end of this connection."""
        return Remedy.LEAVE if self.is_out else closes.remedy(self.close_code)

    @property
    def is_over(self) -> bool:
        return self._over.is_set()

    async def over(self) -> None:
        """Until the connection has ended, whoever ended it."""
        await self._over.wait()

    async def connect(self, **how: Any) -> None:
        """Raises what discord.py raises, and AbandonedError."""
        try:
            await super().connect(**how)
        except BaseException as e:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise asyncio.CancelledError from e  # it may have come out otherwise
            if failure := self._connection.failure:
                raise failure from e
            if self.is_out or isinstance(e, asyncio.CancelledError):
                raise AbandonedError("out again") from e
            raise
        if not self.is_over:
            self._keepalive = spawn(self._keep_alive(), name="discord.keepalive")

    async def disconnect(self, *, force: bool = False) -> None:
        """discord.py's; but does not wait for Discord's word that we are out, which
        whoever was forgotten never gets."""
        await self.leave()

    async def leave(self) -> None:
        """Out of the channel, in whatever state the connection is."""
        await self._connection.end()

    def cleanup(self) -> None:
        registry: Any = self.client._connection
        if registry._get_voice_client(self.guild.id) is self:  # and not one after us
            super().cleanup()
        self._over.set()
        if self._keepalive is not None:
            self._keepalive.cancel()
        self._ended()

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
        while not self.is_over:
            if self.is_connected():  # else it follows to another server
                with contextlib.suppress(OSError):
                    self._connection.send_packet(count.to_bytes(8, "little"))
                count += 1
            await asyncio.sleep(KEEPALIVE_S)
