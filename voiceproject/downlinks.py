"""Answers go out as fast as they are taken: Daphne alone would keep all that an
application makes in memory, and a download is gigabytes."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import structlog
from daphne.server import Server

log = structlog.get_logger(__name__)

UNSENT_MAX_BYTES = 1024 * 1024
"""Sent and not taken by the other end; beyond it the application waits."""
STALLED_S = 60.0
"""Who takes nothing for so long is let go: a download holds one of few places."""
LOOK_S = 0.02


class PacedServer(Server):
    """Daphne's server, whose answers wait for the one who reads them."""

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        await super().handle_reply(protocol, message)
        if message.get("type") == "http.response.body" and message.get("more_body"):
            await self._taken(protocol)

    async def _taken(self, protocol: Any) -> None:
        least, since = unsent(protocol), time.monotonic()
        while (left := unsent(protocol)) > UNSENT_MAX_BYTES:
            if left < least:
                least, since = left, time.monotonic()
            elif time.monotonic() - since > STALLED_S:
                log.info("downlink.stalled")
                protocol.channel.transport.abortConnection()
                return
            await asyncio.sleep(LOOK_S)


def unsent(protocol: Any) -> int:
    """Bytes that an HTTP connection of Twisted's keeps; 0 once it is gone."""
    transport = getattr(protocol.channel, "transport", None)
    kept: int = getattr(transport, "_tempDataLen", 0)
    return kept + len(getattr(transport, "dataBuffer", b""))
