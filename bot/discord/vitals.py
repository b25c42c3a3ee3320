"""How Discord's part of the process is: logged in, its calls, and what they receive.

Read from what is there; asks nothing of Discord. Ids and numbers only, never a name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from bot.discord.conversation import Conversation
    from bot.discord.metrics import VoiceMetrics


class Shard(Protocol):
    def is_closed(self) -> bool: ...


class Calls(Protocol):
    """The operator."""

    @property
    def calls(self) -> Iterable[Conversation]: ...


class Client(Protocol):
    """What is asked of the bot's client."""

    @property
    def operator(self) -> Calls: ...
    @property
    def guilds(self) -> Sequence[Any]: ...
    @property
    def latency(self) -> float: ...
    @property
    def shards(self) -> Mapping[int, Shard]: ...

    def is_ready(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class CallVitals:
    """One call; what it received counts from its beginning, over all connections."""

    session: str
    """Its public id."""
    guild: str
    people: int
    received: VoiceMetrics
    frames: int
    """Packets that became sound."""
    reconnects: int
    longest_gap_s: float
    privacy_code: str | None
    """What members can compare in Discord; None without end-to-end encryption."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """Discord's part, now."""

    is_ready: bool
    """Logged in, the guilds known, and no shard's gateway away."""
    guilds: int
    unavailable: int
    """Guilds that Discord itself has trouble with."""
    latency_s: float | None
    """Of the heartbeats, over all shards; None before the first is answered."""
    calls: tuple[CallVitals, ...]


def vitals_of(client: Client) -> Vitals:
    """On the client's event loop."""
    shards = client.shards.values()
    is_up = bool(shards) and not any(shard.is_closed() for shard in shards)
    guilds = client.guilds
    return Vitals(
        is_ready=is_up and client.is_ready(),
        guilds=len(guilds),
        unavailable=sum(bool(guild.unavailable) for guild in guilds),
        latency_s=client.latency if math.isfinite(client.latency) else None,
        calls=tuple(_of_call(call) for call in client.operator.calls),
    )


def _of_call(call: Conversation) -> CallVitals:
    link = call.link
    voice = link.client if link is not None else None
    receivers = link.receivers if link is not None else []
    return CallVitals(
        session=str(call.session.public_id),
        guild=call.session.guild_id,
        people=len(call.people()),
        received=call.received(),
        frames=sum(receiver.traffic.unsealed for receiver in receivers),
        reconnects=link.outages.reconnects if link is not None else 0,
        longest_gap_s=link.outages.longest_s if link is not None else 0.0,
        privacy_code=voice.voice_privacy_code if voice is not None else None,
    )
