"""What a route's path names, looked up in the world, and whether the bot may touch it.

The routes themselves stand in the modules whose names end in `routes`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fakecord.entities import Channel, Guild, Member
from fakecord.failures import Refusal, Refused
from fakecord.interactions import Interactions
from fakecord.mail import Message, Upload
from fakecord.permissions import CONNECT, VIEW, allows
from fakecord.world import World


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, read."""

    method: str
    path: str
    body: Any
    files: tuple[Upload, ...]

    @property
    def sizes(self) -> list[int]:
        """Of the files, in bytes."""
        return [len(file.data) for file in self.files]


Handler = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a kind of path, and what is done there."""

    method: str
    path: str
    pattern: re.Pattern[str]
    handler: Handler


ROUTES: list[Route] = []


def on(method: str, path: str) -> Callable[[Handler], Handler]:
    """A route: `{x}` is a part of the path that the handler gets as a string."""
    pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))

    def keep(handler: Handler) -> Handler:
        ROUTES.append(Route(method, path, pattern, handler))
        return handler

    return keep


class Paths:
    """Turns parts of paths into what they name; raises Refused."""

    def __init__(self, world: World, interactions: Interactions) -> None:
        self._world = world
        self._interactions = interactions

    def _guild(self, guild: str, needs: int = 0) -> Guild:
        found = self._world.guilds.get(int(guild))
        if found is None:
            raise Refused(Refusal(404, 10004))
        if not allows(self._allowed(found), needs):
            raise Refused(Refusal(403, 50013))
        return found

    def _allowed(self, guild: Guild, channel: Channel | None = None) -> int:
        return guild.permissions(self._world.me(guild.id), channel)

    def _channel(self, channel: str, needs: int = VIEW) -> Channel:
        """A channel that the bot sees, and where it may do what it needs.

        Who may not connect to a voice channel may do nothing else there either.
        """
        found = self._world.channel(int(channel))
        if found is None:
            raise Refused(Refusal(404, 10003))
        allowed = self._allowed(self._world.guilds[found.guild_id], found)
        entrance = VIEW | CONNECT if found.is_vocal and needs != VIEW else VIEW
        if not allows(allowed, entrance):
            raise Refused(Refusal(403, 50001))
        if not allows(allowed, needs):
            raise Refused(Refusal(403, 50013))
        return found

    def _member(self, guild: Guild, user: str) -> Member:
        if int(user) not in guild.members:
            raise Refused(Refusal(404, 10007))
        return guild.members[int(user)]

    def _message(self, place: int, message: str) -> Message:
        found = self._world.mail.messages.get(int(message))
        if found is None or found.channel_id != place:
            raise Refused(Refusal(404, 10008))
        return found

    def _place(self, channel: str, needs: int = VIEW) -> int:
        """Where messages stand: a channel, or what was opened to one user alone."""
        if int(channel) in self._world.mail.dms:
            return int(channel)
        return self._channel(channel, needs).id
