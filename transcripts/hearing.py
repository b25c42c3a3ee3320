"""A hearing: one track that is listened to, what waits for it, and what is found."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from sessions.audio.frames import TIMELINE_RATE, Frame, Placed
from sessions.capture.sinks import Track
from sessions.outages import Outage
from transcripts.ear import Cut, Ear
from transcripts.shelf import Shelf

HELD_S = 10.0
"""So much of what waits is held in memory; of more, all that waits goes to the disk."""
TOGETHER = TIMELINE_RATE
"""Packets that go on from each other are taken together until they are a second."""

_disk = Outage("the disk of what waits to be listened to")


@dataclass(slots=True, eq=False)
class Hearing:
    """One track that is listened to, and its way in: `hear` is a capture's sink."""

    track: Track
    ear: Ear
    wake: Callable[[], None]  # the room's, when there is something to do
    came: int = 0  # samples at 48 kHz, ever; counted by the loop alone
    took: int = 0  # of them, by the ear; counted by its thread alone
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
    _inbox: deque[Placed] = field(default_factory=deque)  # behind what is on the shelf
    _shelf: Shelf = field(default_factory=Shelf)
    _shelved: int = 0  # samples at 48 kHz on it

    @property
    def is_due(self) -> bool:
        """Whether there is anything to do on it: most of the tracks are silent."""
        return not self.rests or self.waits or self.ending

    @property
    def waits(self) -> bool:
        """Whether there is sound that the ear has not been given."""
        return bool(self._shelf) or bool(self._inbox)

    @property
    def behind_s(self) -> float:
        """How much sound has come that nobody has listened to yet, in seconds."""
        return (self.came - self.took) / TIMELINE_RATE + self.ear.waiting_s

    def arrive(self, frame: Frame) -> None:
        """Nothing: what is heard has a place."""

    def hear(self, placed: Placed) -> None:
        self.came += _length(placed)
        self._inbox.append(placed)
        self.wake()

    def flush(self) -> None:
        """Nothing: the recorder keeps the sound."""

    def take(self) -> Placed | None:
        """The next sound for the ear, with what goes on from it: to resample each
        packet of 20 ms by itself is a third of all detection. Called on its thread, as
        `put_by` and `drop` are."""
        try:
            first = self._shelf.take()
        except OSError:
            self.drop()
            raise
        if first is not None:
            self._shelved -= _length(first)
        elif self._inbox:
            first = self._together()
        else:
            return None
        self.took += _length(first)
        return first

    def put_by(self) -> None:
        """Sound comes faster than it is listened to: what waits goes to the disk. One
        that is full leaves it where it is."""
        waiting = (self.came - self.took - self._shelved) / TIMELINE_RATE
        if waiting <= HELD_S:
            return
        while self._inbox:
            piece = self._together()
            try:
                self._shelf.put(piece)
            except OSError:
                _disk.began()
                self._inbox.appendleft(piece)
                return
            self._shelved += _length(piece)
        _disk.ended()

    def drop(self) -> None:
        """Nothing waits on the disk any more."""
        self.took += self._shelved
        self._shelved = 0
        self._shelf.close()

    def _together(self) -> Placed:
        first = self._inbox.popleft()
        parts, end = [first.pcm], first.end
        while self._inbox and end - first.position < TOGETHER:
            following = self._inbox[0]
            if (following.position, following.rate) != (end, first.rate):
                break
            parts.append(self._inbox.popleft().pcm)
            end = following.end
        return replace(first, pcm=np.concatenate(parts)) if len(parts) > 1 else first

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


def _length(placed: Placed) -> int:
    return placed.end - placed.position


@dataclass(frozen=True, slots=True)
class Found:
    """What a step found on one track: an utterance, its beginning, or the end."""

    hearing: Hearing
    cut: Cut | None = None
    partial: Cut | None = None
    closed: bool = False
    is_shelved: bool = False  # the sound of the cut lies on the disk
