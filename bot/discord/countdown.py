"""A countdown: something runs out unless it is stopped or goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class Countdown:
    """Calls `run_out` once `seconds` have passed `since()`, which may move on."""

    def __init__(
        self,
        seconds: float,
        run_out: Callable[[], None],
        *,
        since: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
        call_later: Callable[..., asyncio.TimerHandle] | None = None,
    ) -> None:
        self._seconds = seconds
        self._run_out = run_out
        self._since = since
        self._clock = clock
        self._call_later = call_later or asyncio.get_running_loop().call_later
        self._timer: asyncio.TimerHandle | None = None

    @property
    def left_s(self) -> float:
        return self._since() + self._seconds - self._clock()

    def start(self) -> None:
        self.stop()
        self._timer = self._call_later(max(self.left_s, 0.0), self._look)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        if self.left_s > 0:
            self.start()
            return
        self._timer = None
        self._run_out()
