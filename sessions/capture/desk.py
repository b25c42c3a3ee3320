"""The desk: the thread of a process on which recordings are encoded and synced.

The event loop only puts sound down; this thread looks a few times a second at every
recorder of the process, so that hundreds of tracks cost a few wake-ups.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)

LOOK_S = 0.25
SYNC_S = 1.0
"""A power cut costs at most what came since the last sync."""


class Worker(Protocol):
    """What lies on the desk. Called on its thread only."""

    def work(self) -> bool:
        """Do what there is to do; False when it is done with for ever."""

    def sync(self) -> None:
        """Make what was received outlive a power cut."""


class Desk:
    """One per process; its thread lives while something lies on it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._workers: list[Worker] = []
        self._thread: threading.Thread | None = None
        self._news = threading.Event()

    def put(self, worker: Worker) -> None:
        """Look after it from now on."""
        with self._lock:
            self._workers.append(worker)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="recordings")
                self._thread.daemon = True
                self._thread.start()

    def wake(self) -> None:
        """Look at once: somebody waits."""
        self._news.set()

    def _run(self) -> None:
        synced_at = self._clock()
        while True:
            self._news.wait(LOOK_S)
            self._news.clear()
            sync = self._clock() - synced_at >= SYNC_S
            synced_at = self._clock() if sync else synced_at
            for worker in list(self._workers):
                if not self._serve(worker, sync=sync):
                    with self._lock:
                        self._workers.remove(worker)
            with self._lock:
                if not self._workers:
                    self._thread = None
                    return

    def _serve(self, worker: Worker, *, sync: bool) -> bool:
        try:
            goes_on = worker.work()
            if goes_on and sync:
                worker.sync()
        except Exception:
            # One recorder's fault must not stop the others; its journal has it all.
            log.exception("recording.desk_failed")
            return True
        return goes_on


desk = Desk()
