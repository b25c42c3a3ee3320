"""All routes: those of the account stand here, the others are brought together.

A path nobody wrote a route for is 404 with code 0, and stands in the log.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from fakecord.channelroutes import ChannelRoutes
from fakecord.entities import Json
from fakecord.failures import Refusal, Refused
from fakecord.interactionroutes import InteractionRoutes
from fakecord.memberroutes import MemberRoutes
from fakecord.messageroutes import MessageRoutes
from fakecord.paths import ROUTES, Asked, on


class Routes(ChannelRoutes, MessageRoutes, MemberRoutes, InteractionRoutes):
    """All routes by method and path."""

    def find(self, asked: Asked) -> tuple[str, Callable[[], Any]]:
        """The route's kind of path, and what it does; raises Refused."""
        for route in _BY_PRECISION:
            if route.method != asked.method:
                continue
            if found := route.pattern.fullmatch(asked.path):
                act = partial(route.handler, self, asked, **found.groupdict())
                return route.path, act
        raise Refused(Refusal(404))

    @on("GET", "/users/@me")
    def get_me(self, asked: Asked) -> Json:
        return self._world.bot.json()

    @on("GET", "/oauth2/applications/@me")
    def get_application(self, asked: Asked) -> Json:
        bot = self._world.bot
        return {
            "id": str(bot.id),
            "name": bot.name,
            "description": "",
            "icon": None,
            "bot_public": True,
            "bot_require_code_grant": False,
            "owner": bot.json(),
            "verify_key": "0" * 64,
            "team": None,
            "flags": 0,
        }

    @on("GET", "/gateway")
    def get_gateway(self, asked: Asked) -> Json:
        return {"url": "wss://gateway.discord.gg"}

    @on("GET", "/gateway/bot")
    def get_gateway_bot(self, asked: Asked) -> Json:
        limit = {
            "total": 1000,
            "remaining": 999,
            "reset_after": 0,
            "max_concurrency": self._world.max_concurrency,
        }
        url, shards = "wss://gateway.discord.gg", self._world.shards
        return {"url": url, "shards": shards, "session_start_limit": limit}


_BY_PRECISION = sorted(ROUTES, key=lambda route: route.path.count("{"))
"""`/users/@me` comes before `/users/{user}`, which would fit it, too."""
