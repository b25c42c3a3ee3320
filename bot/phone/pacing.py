"""The pace of everything we send: one frame per line every 20 ms, never more.

Asterisk does not pace: what is sent at once leaves at once, and a phone plays its tail.
One ticker serves all lines, in groups a few milliseconds apart, against deadlines that
are multiples of 20 ms since it began: lateness never adds up. After a stall the frames
that were due are skipped, not sent in a burst.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from sessions.background import spawn

log = structlog.get_logger(__name__)

FRAME_S = 0.020
SLOTS = 4
SLOT_S = FRAME_S / SLOTS
STALL_S = 2 * FRAME_S
"""As late as this, frames are skipped: a line is never more than two behind."""
MIN_SLEEP_S = 0.0005


class Paced(Protocol):
    """A line that sends."""

    def tick(self, *, skipped: int) -> None:
        """Send one frame; `skipped` before it can no longer be sent in time."""


class Ticker:
    """Serves every line of a loop; lives while there is one."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._slots: list[dict[Paced, None]] = [{} for _ in range(SLOTS)]
        self._task: asyncio.Task[None] | None = None
        self.late_s = 0.0
        """How late the newest slot was: the lag of the loop."""
        self.beat_at: float | None = None
        """When it was last at work; None while it rests."""

    def add(self, line: Paced) -> None:
        """Serve it from now on, in the emptiest slot."""
        min(self._slots, key=len)[line] = None
        if self._task is None or self._task.done():
            self._task = spawn(self._run(), name="phone.ticker")

    def remove(self, line: Paced) -> None:
        for slot in self._slots:
            slot.pop(line, None)

    async def _run(self) -> None:
        began, turn = self._clock(), 0
        while any(self._slots):
            due = began + turn * SLOT_S
            while (early := due - self._clock()) > 0:
                await self._sleep(max(early, MIN_SLEEP_S))
            turn = self._turn(turn, began)
        self.beat_at = None

    def _turn(self, turn: int, began: float) -> int:
        """Serve the slot of this turn; the next one's number."""
        self.beat_at = now = self._clock()
        self.late_s = now - (began + turn * SLOT_S)
        missed = int(self.late_s / FRAME_S) if self.late_s >= STALL_S else 0
        slots = range(turn, turn + SLOTS) if missed else (turn,)
        for number in slots:
            for line in list(self._slots[number % SLOTS]):
                self._serve(line, skipped=missed)
        return turn + missed * SLOTS + len(slots)

    def _serve(self, line: Paced, *, skipped: int) -> None:
        try:
            line.tick(skipped=skipped)
        except Exception:
            # One line's fault must not silence the others.
            log.exception("line.failed")
