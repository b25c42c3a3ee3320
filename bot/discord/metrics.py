"""What a Discord call counts of itself, for its session's line of figures
(`transcripts.figures`). Numbers and ids only.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from bot.discord.receive import Receiver


@dataclass(frozen=True, slots=True)
class VoiceMetrics:
    """What came over the voice connections of a session: packets, by their fate."""

    packets: int = 0
    decrypted: int = 0
    """Frames that DAVE opened."""
    dave_failed: int = 0
    transport_failed: int = 0
    unclaimed: int = 0
    """Of an SSRC that nobody had claimed yet."""
    refused: int = 0
    """Of those of whom nothing may be kept."""

    @classmethod
    def of(cls, receiver: Receiver) -> Self:
        """Of one connection, as it stands now."""
        traffic, dave = receiver.traffic, receiver.unsealing.counts
        return cls(
            packets=traffic.packets,
            decrypted=dave.opened,
            dave_failed=dave.failed,
            transport_failed=traffic.transport_failed,
            unclaimed=traffic.unclaimed,
            refused=traffic.refused,
        )

    def __add__(self, other: VoiceMetrics) -> VoiceMetrics:
        """Both together: each reconnection has a receiver of its own."""
        names = [field.name for field in fields(self)]
        return VoiceMetrics(
            **{name: getattr(self, name) + getattr(other, name) for name in names}
        )


@dataclass(frozen=True, slots=True)
class CallFigures:
    """Of a call that is over."""

    guild_id: str
    channel_id: str
    speakers: int
    received: VoiceMetrics
    reconnects: int
    longest_gap_s: float
    """The longest while without a voice connection."""
    join_s: float | None
    """From the command to the bot in the room; None where it never came."""
    waited_s: float
    """The longest that a packet waited to be taken in: above a second, this process has
    more calls than it carries."""

    def to_json(self) -> dict[str, object]:
        """Discord's ids are strings there, as in its API."""
        data = asdict(self)
        received = data.pop("received")
        rounded = {
            "longest_gap_s": round(self.longest_gap_s, 3),
            "join_s": None if self.join_s is None else round(self.join_s, 3),
            "waited_s": round(self.waited_s, 3),
        }
        return data | rounded | received
