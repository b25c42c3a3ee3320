"""What a route's path names, looked up in the world, and whether the bot may touch it.

The routes themselves stand in `channelroutes` and `routes`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fakecord.entities import Channel, Guild, Member
from fakecord.failures import Refusal
from fakecord.interactions import Refused
from fakecord.mail import Message
from fakecord.world import World

VIEW, SEND = 1 << 10, 1 << 11


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, read."""

    method: str
    path: str
    body: Any
    files: tuple[str, ...]


Handler = Callable[..., Any]
ROUTES: list[tuple[str, re.Pattern[str], Handler]] = []


def on(method: str, path: str) -> Callable[[Handler], Handler]:
    """A route: `{x}` is a part of the path that the handler gets as a string."""
    pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))

    def keep(handler: Handler) -> Handler:
        ROUTES.append((method, pattern, handler))
        return handler

    return keep


class Paths:
    """Turns parts of paths into what they name; raises Refused."""

    def __init__(self, world: World) -> None:
        self._world = world

    def _guild(self, guild: str, needs: int = 0) -> Guild:
        found = self._world.guilds.get(int(guild))
        if found is None:
            raise Refused(Refusal(404, 10004))
        if needs & ~self._allowed(found):
            raise Refused(Refusal(403, 50013))
        return found

    def _allowed(self, guild: Guild) -> int:
        return guild.permissions(self._world.me(guild.id))

    def _channel(self, channel: str, needs: int = 0) -> Channel:
        found = self._world.channel(int(channel))
        if found is None:
            raise Refused(Refusal(404, 10003))
        self._guild(str(found.guild_id), needs)
        return found

    def _member(self, guild: Guild, user: str) -> Member:
        if int(user) not in guild.members:
            raise Refused(Refusal(404, 10007))
        return guild.members[int(user)]

    def _message(self, message: str) -> Message:
        if int(message) not in self._world.mail.messages:
            raise Refused(Refusal(404, 10008))
        return self._world.mail.messages[int(message)]

    def _place(self, channel: str, needs: int = VIEW) -> int:
        """Where messages stand: a channel, or what was opened to one user alone."""
        if int(channel) in self._world.mail.dms:
            return int(channel)
        return self._channel(channel, needs).id
