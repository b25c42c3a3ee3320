"""Sinks: what listens to a capture. `CAPTURE_SINKS` names their factories.

This is how `transcripts` hears without `sessions` importing it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol

from django.conf import settings
from django.utils.module_loading import import_string

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sessions.audio.frames import Frame, Placed
    from sessions.models import Participant, VoiceSession


@dataclass(frozen=True, slots=True)
class Track:
    """One connection of one participant: what a sink may know of it. `rate` is that of
    its sound; `started_at` the session's time zero; `recorded` whether it is kept;
    `source` the session's."""

    session_id: int
    session_public_id: UUID
    participant_id: int
    participant_public_id: UUID
    name: str
    rate: int = 16_000
    started_at: datetime | None = None
    recorded: bool = False
    source: str = ""

    @property
    def ids(self) -> dict[str, int]:
        """What stands on each line of the log about it."""
        return {"session": self.session_id, "track": self.participant_id}

    @classmethod
    def of(cls, session: VoiceSession, person: Participant, *, rate: int) -> Track:
        """The track of somebody in a session."""
        return cls(
            session.pk,
            session.public_id,
            person.pk,
            person.public_id,
            person.name,
            rate=rate,
            started_at=session.started_at,
            recorded=session.record,
            source=session.source,
        )


class Sink(Protocol):
    """Called on the event loop of the process that owns the socket: never blocks."""

    def arrive(self, frame: Frame) -> None:
        """See a frame as it arrived, before it has a place. Each is heard later, in the
        same order, but for its silence and drift."""

    def hear(self, placed: Placed) -> None:
        """Take sound; positions rise, with gaps where there was none."""

    def flush(self) -> None:
        """What came at once has been told: whoever writes it down has it on disk."""

    def settled(self) -> int | None:
        """The position before which everything is safe if the process dies now; None
        if this sink would not miss anything."""

    async def close(self) -> None:
        """The track has ended: write down what is still open."""

    def conclude(self) -> None:
        """Every sink of the track has closed, and none had failed."""


SinkFactory = Callable[[Track], Sink | None]


@cache
def factories() -> tuple[SinkFactory, ...]:
    """The settings' factories. Raises ImportError for a path that leads nowhere."""
    return tuple(import_string(path) for path in settings.CAPTURE_SINKS)


def open_sinks(track: Track) -> list[Sink]:
    """The sinks that want this track, in the order of the settings."""
    sinks = [factory(track) for factory in factories()]
    return [sink for sink in sinks if sink is not None]
