"""A link that hears nothing though somebody speaks: the operator is warned, and another
connection is tried, but never one after the other for ever: a room may be silent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from bot.discord.linking.connection import ListeningClient

log = structlog.get_logger(__name__)

WARN_S = 10.0
RECONNECT_S = 20.0
UNOPENED_RECONNECTS = 3
"""In a row, where packets come that do not open."""


@dataclass(slots=True)
class Deafness:
    """One link's, through all its connections. `warned` is told of each warning."""

    warned: Callable[[], None] = lambda: None
    _is_warned: bool = False
    _reconnects: int = 0

    def is_enough(self, client: ListeningClient, *, now_s: float) -> bool:
        """Whether another connection is to be tried."""
        hearing = client.receiver.hearing
        missing = hearing.missing(now_s=now_s)
        if missing is None or not may_be_heard(client, missing.user):
            self._is_warned = False
            return False
        deaf_s = now_s - missing.since_s
        if deaf_s >= WARN_S and not self._is_warned:
            self._is_warned = True
            log.warning(
                "discord.deaf",
                guild=client.guild.id,
                user=missing.user,
                unopened=missing.user is None,
                seconds=round(deaf_s, 1),
            )
            self.warned()
        return deaf_s >= RECONNECT_S and self._reconnect(
            has_heard=hearing.heard_s is not None, is_certain=missing.user is None
        )

    def _reconnect(self, *, has_heard: bool, is_certain: bool) -> bool:
        """`has_heard`: over this connection."""
        if has_heard:
            self._reconnects = 0
        elif not is_certain or self._reconnects >= UNOPENED_RECONNECTS:
            return False
        self._reconnects += 1
        self._is_warned = False
        return True


def may_be_heard(client: ListeningClient, user: int | None) -> bool:
    """Whether a user is in our channel, and neither they nor we are kept silent; None:
    any of them."""
    guild, states = client.guild, client.channel.voice_states
    ours = states.get(guild.me.id) if guild.me is not None else None
    if ours is None or ours.deaf or ours.self_deaf:
        return False
    if user is None:
        return True
    theirs, member = states.get(user), guild.get_member(user)
    if theirs is None or (member is not None and member.bot):  # those end as they like
        return False
    return not (theirs.mute or theirs.self_mute or theirs.suppress)
