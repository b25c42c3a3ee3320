"""Answers go out as fast as they are taken: Daphne alone would keep all that an
application makes in memory, and a download is gigabytes."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import structlog
from daphne.server import Server

from sessions.streaming import holds_place

log = structlog.get_logger(__name__)

UNSENT_MAX_BYTES = 1024 * 1024
"""Sent and not taken by the other end; beyond it the application waits."""
STALLED_S = 60.0
"""Who takes nothing for so long is let go."""
LEAST_BYTES_PER_S = 32_000
"""So is who takes less of what holds a place of few; what players play holds none."""
BEHIND_MAX_S = 30.0
"""How far somebody may fall behind that."""
LOOK_S = 0.02


class Reader:
    """How fast an answer is taken, while we wait for whoever reads it."""

    def __init__(self) -> None:
        self._stalled_s = self._behind_s = 0.0

    def took(self, size: int, *, in_s: float) -> None:
        """So many bytes, perhaps none, in so many seconds of waiting."""
        self._stalled_s = 0.0 if size else self._stalled_s + in_s
        behind_s = self._behind_s + in_s - size / LEAST_BYTES_PER_S
        self._behind_s = max(behind_s, 0.0)

    def is_too_slow(self, *, for_a_place: bool) -> bool:
        is_behind = self._behind_s > BEHIND_MAX_S
        return self._stalled_s > STALLED_S or (for_a_place and is_behind)


class PacedServer(Server):
    """Daphne's server, whose answers wait for the one who reads them."""

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        await super().handle_reply(protocol, message)
        if message.get("type") == "http.response.body" and message.get("more_body"):
            await self._taken(protocol)

    async def _taken(self, protocol: Any) -> None:
        reader = self.connections.get(protocol, {}).setdefault("reader", Reader())
        at, left = time.monotonic(), unsent(protocol)
        while left > UNSENT_MAX_BYTES:
            if reader.is_too_slow(for_a_place=holds_place.get()):
                log.info("downlink.stalled")
                protocol.channel.transport.abortConnection()
                return
            await asyncio.sleep(LOOK_S)
            began, before = at, left
            at, left = time.monotonic(), unsent(protocol)
            reader.took(before - left, in_s=at - began)


def unsent(protocol: Any) -> int:
    """Bytes that an HTTP connection of Twisted's keeps; 0 once it is gone."""
    transport = getattr(protocol.channel, "transport", None)
    kept: int = getattr(transport, "_tempDataLen", 0)
    return kept + len(getattr(transport, "dataBuffer", b""))
