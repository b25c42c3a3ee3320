"""How the bot process is: one small page of JSON on a port of its own.

503 tells a load balancer, or Asterisk's dialplan, to send calls elsewhere: so where
there is a phone, the page's status is the phone's alone; and whoever is about to end
takes no calls, of whatever kind.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import structlog
from aiohttp import web
from django.conf import settings
from redis.asyncio import Redis
from redis.exceptions import RedisError

from bot.discord.vitals import CallVitals, vitals_of

if TYPE_CHECKING:
    from bot.discord.vitals import Client
    from bot.lag import Lag
    from bot.phone.server import PhoneServer

log = structlog.get_logger(__name__)

LAG_MAX_S = 0.5
"""A loop this late makes calls stutter."""
REDIS_ANSWERS_S = 1.0
"""So long Redis is waited for."""


class Health:
    """Serves `GET /`, `GET /health`, and `GET /health/discord` for that part alone."""

    def __init__(
        self,
        phone: PhoneServer | None,
        *,
        discord: Client | None = None,
        lag: Lag | None = None,
        is_draining: Callable[[], bool] = lambda: False,
    ) -> None:
        self._is_draining = is_draining
        self._phone = phone
        self._discord = discord
        self._lag = lag
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
        app.router.add_get("/health/discord", self._answer_of_discord)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        log.info("bot.health", host=host, port=self.port)

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        loop = {} if self._lag is None else {"loop": _loop_state(self._lag)}
        return _told(self.state() | loop | {"redis": await _redis_state()})

    async def _answer_of_discord(self, request: web.Request) -> web.Response:
        if self._discord is None:
            raise web.HTTPNotFound
        state = _discord_state(self._discord)
        return _told(state | {"ok": state["ok"] and not self._is_draining()})

    def state(self) -> dict[str, Any]:
        """`ok` is whether calls can be taken: by telephone, or where there is none, on
        Discord."""
        discord = None if self._discord is None else _discord_state(self._discord)
        phone = None if self._phone is None else _phone_state(self._phone)
        decides = phone or discord or {"ok": True}
        by_phone = len(self._phone.conversations) if self._phone else 0
        return (phone or {"phone": None}) | {
            "ok": decides["ok"] and not self._is_draining(),
            "draining": self._is_draining(),
            "active_calls": by_phone + len(discord["calls"] if discord else ()),
            "discord": discord,
        }


def _told(state: dict[str, Any]) -> web.Response:
    return web.json_response(state, status=200 if state["ok"] else 503)


def _loop_state(lag: Lag) -> dict[str, float]:
    late = lag.lateness()
    return {
        "lag_p50_ms": round(late.p50_s * 1000, 1),
        "lag_p99_ms": round(late.p99_s * 1000, 1),
        "lag_max_ms": round(late.longest_s * 1000, 1),
    }


async def _redis_state() -> dict[str, Any] | None:
    """Whether it answers; None where there is none."""
    if not settings.REDIS_URL:
        return None
    try:
        async with (
            asyncio.timeout(REDIS_ANSWERS_S),
            Redis.from_url(settings.REDIS_URL) as redis,
        ):
            await redis.ping()
    except (RedisError, OSError, TimeoutError) as e:
        return {"ok": False, "reason": f"Redis does not answer: {type(e).__name__}."}
    return {"ok": True, "reason": ""}


def _phone_state(phone: PhoneServer) -> dict[str, Any]:
    lag_s = phone.pacing.late_s if phone.conversations else 0.0
    return {
        "ok": phone.is_listening and not phone.is_full and lag_s < LAG_MAX_S,
        "listening": phone.is_listening,
        "max_calls": phone.max_calls,
        "refused": phone.refused,
        "states": Counter(call.state for call in phone.conversations),
        "store": asdict(phone.talking.store.health()),
        "loop_lag_ms": round(lag_s * 1000, 1),
        "closing": phone.is_closing,
    }


def _discord_state(client: Client) -> dict[str, Any]:
    vitals = vitals_of(client)
    latency_s = vitals.latency_s
    return {
        "ok": vitals.is_ready,
        "guilds": vitals.guilds,
        "unavailable_guilds": vitals.unavailable,
        "latency_ms": None if latency_s is None else round(latency_s * 1000, 1),
        "calls": [_call_state(call) for call in vitals.calls],
    }


def _call_state(call: CallVitals) -> dict[str, Any]:
    return {
        "session": call.session,
        "guild": call.guild,
        "people": call.people,
        "frames": call.frames,
        **asdict(call.received),
        "reconnects": call.reconnects,
        "longest_gap_s": round(call.longest_gap_s, 3),
        "privacy_code": call.privacy_code,
    }
