"""A hearing: one track that is listened to, and what is found on it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from sessions.audio.frames import Frame, Placed
from sessions.capture.sinks import Track
from transcripts.ear import Cut, Ear


@dataclass(slots=True)
class Hearing:
    """One track that is listened to, and its way in: `hear` is a capture's sink."""

    track: Track
    ear: Ear
    wake: Callable[[], None]  # the room's, when there is something to do
    inbox: deque[Placed] = field(default_factory=deque)
    ending: bool = False  # no more sound will come
    ended: bool = False  # and the ear knows
    heard_at: float = 0.0
    partial_at: float = 0.0
    rev: int = 0
    written: asyncio.Future[None] | None = None
    faults: int = 0
    told_s: float = 0.0  # how much of an utterance whoever watches was told of
    done_to: int = 0  # what the ear is through with
    on_their_way: list[int] = field(default_factory=list)  # cuts that are not rows yet
    rests: bool = False  # nobody speaks, and all that came is judged

    @property
    def is_due(self) -> bool:
        """Whether there is anything to do on it: most of the tracks are silent."""
        return not self.rests or bool(self.inbox) or self.ending

    def arrive(self, frame: Frame) -> None:
        """Nothing: what is heard has a place."""

    def hear(self, placed: Placed) -> None:
        self.inbox.append(placed)
        self.wake()

    def flush(self) -> None:
        """Nothing: the recorder keeps the sound."""

    def settled(self) -> int:
        return min([self.done_to, *self.on_their_way])

    async def close(self) -> None:
        """Hear out what came, and wait until the last utterance is a row."""
        self.written = asyncio.get_running_loop().create_future()
        self.ending = True
        self.wake()
        await self.written

    def conclude(self) -> None:
        """Nothing: all was written down by then."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a step found on one track: an utterance, its beginning, or the end."""

    hearing: Hearing
    cut: Cut | None = None
    partial: Cut | None = None
    closed: bool = False
