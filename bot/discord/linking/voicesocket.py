"""The voice gateway's line: discord.py's, but for what it waits for too long, and for
messages that would end it. Decides nothing about its end: that is `voicestate`'s."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import structlog
from discord.gateway import DiscordVoiceWebSocket

log = structlog.get_logger(__name__)

BEATS = 2.5
"""Heartbeats that a voice gateway may leave unanswered. discord.py waits for 30 s."""
HELLO_WITHIN_S = 10.0
GOODBYE_S = 0.2
"""For the other end to say goodbye; aiohttp would wait for it 30 s."""
DISCOVERY_S = 0.5
"""Until we ask for our address again: what asks is one datagram."""
ANNOUNCED = (
    DiscordVoiceWebSocket.MLS_ANNOUNCE_COMMIT_TRANSITION,
    DiscordVoiceWebSocket.MLS_WELCOME,
)
"""Binary messages that carry the number of a transition behind their kind."""


class WebSocket(DiscordVoiceWebSocket):
    """Neither one bad message nor a server's silence may hold the connection up."""

    is_resumed = False

    async def poll_event(self) -> None:
        """Raises TimeoutError where heartbeats stay unanswered."""
        beat = self._keep_alive
        every_s = beat.interval if beat is not None else None
        async with asyncio.timeout(BEATS * every_s if every_s else HELLO_WITHIN_S):
            await super().poll_event()

    async def close(self, code: int = 1000) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                await super().close(code)

    async def discover_ip(self) -> tuple[str, int]:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DISCOVERY_S):
                    return await super().discover_ip()

    async def received_message(self, msg: dict[str, Any]) -> None:
        await super().received_message(msg)
        self.is_resumed |= msg["op"] == self.RESUMED
        if self._close_code is not None and self._keep_alive is not None:
            self._keep_alive.stop()  # it was started behind our goodbye

    async def received_binary_message(self, msg: bytes) -> None:
        connection: Any = self._connection
        if msg[2] in ANNOUNCED:
            connection.transition = int.from_bytes(msg[3:5], "big")
        try:
            await super().received_binary_message(msg)
        except (ValueError, RuntimeError) as e:  # what davey raises
            log.warning("discord.bad_key_message", op=msg[2], error=str(e))
            await connection.renew_keys()
