"""Levels: how loud each speaker is just now, for the meters of whoever looks.

A sink beside the recorder's. Nothing is computed or told while nobody looks, and what
is told goes to the live cache: a lost level is a meter that does not move.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from sessions import flashes
from sessions import readers as counting
from sessions.audio.frames import Frame, Placed
from sessions.background import PerLoop, spawn
from sessions.capture.sinks import Sink, Track
from sessions.readers import EVERYBODY

TELL_S = 0.2
ASK_EVERY = 5
"""Tellings between two questions who looks."""
FLOOR_DBFS = -60
FULL_SCALE = 32768.0


class LevelSink:
    """One track: its energy since it was last asked for."""

    def __init__(self, track: Track, meters: Meters) -> None:
        self.track = track
        self.told = FLOOR_DBFS
        self._meters = meters
        self._energy, self._samples = 0.0, 0

    def arrive(self, frame: Frame) -> None:
        """Nothing: what has a place is enough."""

    def hear(self, placed: Placed) -> None:
        if self._meters.is_watched(self.track.session_id):
            pcm = placed.pcm.astype(np.float32)
            self._energy += float(np.dot(pcm, pcm))
            self._samples += len(pcm)

    def flush(self) -> None:
        """Nothing: a level is not kept."""

    def settled(self) -> int | None:
        return None

    async def close(self) -> None:
        self._meters.remove(self)

    def conclude(self) -> None:
        """Nothing: a level is not kept."""

    def take(self) -> int:
        """dBFS since the last call, from FLOOR_DBFS to 0."""
        mean = self._energy / self._samples if self._samples else 0.0
        self._energy, self._samples = 0.0, 0
        return dbfs(mean)


def dbfs(mean_square: float) -> int:
    """Of 16-bit samples, rounded; never below FLOOR_DBFS."""
    power = max(mean_square, 1e-9) / FULL_SCALE**2
    return max(round(10 * math.log10(power)), FLOOR_DBFS)


class Meters:
    """All tracks of one event loop."""

    def __init__(self) -> None:
        self._sinks: list[LevelSink] = []
        self._watched: Mapping[int, int] = {}
        self._teller: asyncio.Task[None] | None = None

    def open(self, track: Track) -> LevelSink:
        sink = LevelSink(track, self)
        self._sinks.append(sink)
        if self._teller is None or self._teller.done():
            self._teller = spawn(self._tell_on(), name="levels")
        return sink

    def remove(self, sink: LevelSink) -> None:
        if sink in self._sinks:
            self._sinks.remove(sink)

    def is_watched(self, session_id: int) -> bool:
        return bool(self._watched.get(EVERYBODY) or self._watched.get(session_id))

    async def _tell_on(self) -> None:
        """Lives while there are tracks."""
        turn = 0
        while self._sinks:
            if turn % ASK_EVERY == 0:
                self._watched = await asyncio.to_thread(counting.counts)
            if moved := self._moved():
                await asyncio.to_thread(_show, moved)
            turn += 1
            await asyncio.sleep(TELL_S)

    def _moved(self) -> dict[int, dict[str, int]]:
        """The sessions in which a level has changed, each with all of its levels."""
        moved, levels = set[int](), defaultdict[int, dict[str, int]](dict)
        for sink in self._sinks:
            session_id = sink.track.session_id
            if not self.is_watched(session_id):
                continue
            level = sink.take()
            if level != sink.told:
                moved.add(session_id)
            sink.told = level
            levels[session_id][str(sink.track.participant_public_id)] = level
        return {session_id: levels[session_id] for session_id in moved}


def _show(moved: dict[int, dict[str, int]]) -> None:
    for session_id, levels in moved.items():
        data = {"levels": levels}
        flashes.show(session_id, "levels", "levels", data, rings=False)


_meters = PerLoop(Meters)


def listen(track: Track) -> Sink | None:
    """The capture sink (`CAPTURE_SINKS`) of a track on the running loop."""
    return _meters.here().open(track)
