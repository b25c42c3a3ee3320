"""One line of figures for each voice session that has ended, for the operator.

Numbers and ids only: never a name, never a word. Several processes add to one file.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self
from uuid import UUID

import structlog

if TYPE_CHECKING:
    from bot.discord.receive import Receiver

log = structlog.get_logger(__name__)


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
class Ended:
    """A voice session that is over."""

    at: datetime
    session: UUID
    """Its public id."""
    guild_id: str
    channel_id: str
    reason: str
    seconds: float
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
    record: bool

    def to_json(self) -> dict[str, object]:
        """As one line of the file. Discord's ids are strings there, as in its API."""
        data = asdict(self)
        received = data.pop("received")
        written = {
            "at": self.at.isoformat(timespec="milliseconds"),
            "session": str(self.session),
            "seconds": round(self.seconds, 3),
            "longest_gap_s": round(self.longest_gap_s, 3),
            "join_s": None if self.join_s is None else round(self.join_s, 3),
            "waited_s": round(self.waited_s, 3),
        }
        return data | written | received


def write(path: Path, ended: Ended) -> None:
    """Add a line, in one write. Waits for the disk; what that refuses is logged."""
    line = json.dumps(ended.to_json(), separators=(",", ":")).encode() + b"\n"
    try:
        _append(path, line)
    except OSError as error:
        why = error.strerror or type(error).__name__
        log.warning("voice_metrics.not_written", session=str(ended.session), why=why)


def has(path: Path, session: UUID) -> bool:
    """Whether a session has its line. Waits for the disk."""
    mark = f'"session":"{session}"'.encode()
    try:
        with path.open("rb") as lines:
            return any(mark in line for line in lines)
    except FileNotFoundError:
        return False


def _append(path: Path, line: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # O_APPEND: the system finds the end and writes as one, whoever else is at it.
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
    try:
        if os.write(file, line) < len(line):
            raise OSError("only a part of the line was written")
    finally:
        os.close(file)
