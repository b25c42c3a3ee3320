"""The watchdog: frees the calls of a loop that hangs.

A hung server is dead air that Asterisk does not notice; with ARI it can stop the whole
PBX. A thread looks at the loop's beat. When it has been silent for too long every line
is cut, so that the dialplan goes on, or dials the next server.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

HUNG_S = 2.0
LOOK_S = 0.5


class Watchdog:
    """Calls `hung` once when `beat_at` has not moved for `HUNG_S`, and again only
    after the loop came back."""

    def __init__(
        self,
        beat_at: Callable[[], float | None],
        hung: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._beat_at = beat_at
        self._hung = hung
        self._clock = clock
        self._told = False
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="phone.watchdog", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def look(self) -> None:
        """One look; `_run` takes one every half second."""
        beat_at = self._beat_at()
        if beat_at is None or self._clock() - beat_at < HUNG_S:
            self._told = False
        elif not self._told:
            self._told = True
            log.critical("loop.hung", for_s=round(self._clock() - beat_at, 1))
            self._hung()

    def _run(self) -> None:
        while not self._stop.wait(LOOK_S):
            self.look()
