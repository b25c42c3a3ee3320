"""How the bot process is: one small page of JSON on a port of its own.

503 tells a load balancer, or Asterisk's dialplan, to send calls elsewhere.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import structlog
from aiohttp import web

if TYPE_CHECKING:
    from bot.phone.server import PhoneServer

log = structlog.get_logger(__name__)

LAG_MAX_S = 0.5
"""A loop this late makes calls stutter."""


class Health:
    """Serves `GET /` and `GET /health`."""

    def __init__(self, phone: PhoneServer | None) -> None:
        self._phone = phone
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        assert self._runner is not None
        return int(self._runner.addresses[0][1])

    async def start(self, host: str, port: int) -> None:
        """Listen. Raises OSError when the address cannot be had."""
        app = web.Application()
        app.router.add_get("/", self._answer)
        app.router.add_get("/health", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        log.info("bot.health", host=host, port=self.port)

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        state = self.state()
        return web.json_response(state, status=200 if state["ok"] else 503)

    def state(self) -> dict[str, Any]:
        """`ok` is whether calls can be taken."""
        phone = self._phone
        if phone is None:
            return {"ok": True, "phone": None}
        lag_s = phone.ticker.late_s if phone.conversations else 0.0
        return {
            "ok": phone.is_listening and not phone.is_full and lag_s < LAG_MAX_S,
            "listening": phone.is_listening,
            "active_calls": len(phone.conversations),
            "max_calls": phone.max_calls,
            "refused": phone.refused,
            "states": Counter(call.state for call in phone.conversations),
            "store": asdict(phone.talking.store.health()),
            "loop_lag_ms": round(lag_s * 1000, 1),
            "closing": phone.is_closing,
        }
