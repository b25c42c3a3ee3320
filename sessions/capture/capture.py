"""A capture: one live connection's way from bytes to its place, and to the sinks.

Runs on the event loop of the process that owns the socket. Placing is arithmetic; what
takes time (voice detection, encoding, the database) the sinks do elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from sessions.audio.clock import TrackClock
from sessions.audio.countclock import CountClock
from sessions.audio.frames import TIMELINE_RATE, Frame
from sessions.capture.audience import Audience

if TYPE_CHECKING:
    from sessions.capture.sinks import Sink, Track
    from sessions.participants import Losses


class Capture:
    """16-bit little-endian mono PCM at `rate`, from the first byte to the last."""

    def __init__(
        self,
        track: Track,
        *,
        zero_s: float,
        rate: int,
        sinks: list[Sink],
        origin: int | None = None,
        received: int = 0,
        clock: Callable[[], float] = time.monotonic,
        away_s: Callable[[float], float] = lambda since: 0.0,
        is_ours: bool = False,
    ) -> None:
        """`zero_s`: what the clock said at the session's time zero. `is_ours`: it is
        sent from here, at our own pace; its count is the time."""
        self.track = track
        self.rate = rate
        self.heard_at = clock()
        self._clock = clock
        self._away_s = away_s
        self._zero = zero_s
        self._audience = Audience(track, sinks)
        self._timeline: TrackClock | CountClock = (
            CountClock() if is_ours else TrackClock(origin=origin, received=received)
        )
        self._secured = received
        self._came_at: float | None = None
        self.halted = False

    @property
    def origin(self) -> int | None:
        """Where the stream's first sample stands; None before there is one."""
        return self._timeline.origin

    @property
    def received(self) -> int:
        """Samples at 48 kHz received or declared lost, over all connections."""
        return self._timeline.received

    @property
    def secured(self) -> int:
        """How much of `received` need not be sent again if this process dies now: a
        returning stream goes on here. At most what every sink has settled."""
        settled = self._audience.settled()
        if settled is not None and self.origin is not None:
            count = min(settled - self.origin, self.received)
            count -= count % (TIMELINE_RATE // self.rate)
            self._secured = max(count, self._secured)
        return self._secured

    @property
    def ahead_s(self) -> float:
        """How far the stream's end is ahead of the clock, in seconds."""
        end = ((self.origin or 0) + self.received) / TIMELINE_RATE
        return end - (self._clock() - self._zero)

    def take_losses(self) -> Losses:
        """Of what was sent, what is not there: since they were taken last."""
        return self._audience.take_losses()

    def offer(self, data: bytes, *, skipped: int = 0, waited_s: float = 0.0) -> None:
        """Take one message; `skipped` samples at `rate` were lost before it. It came
        `waited_s` ago: where it stands is told by when it came."""
        if self.halted:
            return
        self.heard_at = self._clock()
        self._audience.came(waited_s)
        before_s, self._came_at = self._came_at, self.heard_at - waited_s
        if before_s is not None:
            self._came_at = max(self._came_at, before_s)
        pcm = np.frombuffer(data, dtype="<i2").astype(np.int16, copy=False)
        unheard_s = 0.0
        if before_s is not None:
            unheard_s = min(self._away_s(before_s), self._came_at - before_s)
        arrival_s = self._came_at - self._zero
        frame = Frame(pcm, self.rate, arrival_s, skipped, unheard_s)
        self._audience.arrive(frame)
        self._audience.hear(self._timeline.place(frame))
        self._audience.flush()

    def tick(self) -> None:
        """Let go of what was held back; called a few times a second."""
        if not self.halted:
            unheard_s = self._away_s(self._came_at or self.heard_at)
            now_s = self._clock() - self._zero
            self._audience.hear(self._timeline.tick(now_s, unheard_s=unheard_s))

    def halt(self) -> None:
        """Place the rest; nothing is taken from now on."""
        if not self.halted:
            self.halted = True
            self._audience.hear(self._timeline.flush())

    async def close(self) -> None:
        """Halt, and close every sink. Whoever waits may lose patience: what was heard
        is written down all the same."""
        self.halt()
        await self._audience.close()
