"""The desk: the threads of a process on which recordings are encoded and synced.

The event loop only puts sound down; the desk looks a few times a second at every
recorder of the process, so that hundreds of tracks cost a few wake-ups. Syncing has
threads of its own: neither a slow disk nor much to encode makes the other wait.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import structlog
from structlog.contextvars import bound_contextvars

from sessions import measures, realtime

log = structlog.get_logger(__name__)

LOOK_S = 0.25
SYNC_S = 0.5
"""From one sync's beginning to the next one's. A power cut takes what came since the
last that is complete: the promise is one second, and the sync itself takes time."""
TRIM_S = 60.0
"""From one giving back of memory to the next."""
AT_ONCE = 8
"""Syncs at a time: a disk puts them together (ext4: 300 in 0.2 s, 0.7 s one by one)."""


class Worker(Protocol):
    """What lies on the desk."""

    @property
    def ids(self) -> Mapping[str, int]:
        """What stands on each line of the log about it."""

    def work(self) -> bool:
        """Do what there is to do; False when it is done with for ever."""

    @property
    def is_unsynced(self) -> bool:
        """Whether anything came since the last sync."""

    def sync(self) -> None:
        """Make what was received outlive a power cut. Called on another thread than
        `work`, perhaps once more when that is done for ever."""


class Desk:
    """One per process; its threads live while something lies on it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._workers: list[Worker] = []
        self._threads: dict[str, threading.Thread] = {}
        self._news = threading.Event()

    def put(self, worker: Worker) -> None:
        """Look after it from now on."""
        with self._lock:
            self._workers.append(worker)
            for name, run in (("recordings", self._work), ("syncs", self._sync)):
                if name not in self._threads:
                    thread = threading.Thread(target=run, name=name, daemon=True)
                    self._threads[name] = thread
                    thread.start()

    def wake(self) -> None:
        """Look at once: somebody waits."""
        self._news.set()

    def _work(self) -> None:
        realtime.stand_back()
        trimmed_at = self._clock()
        while not self._is_over("recordings"):
            self._news.wait(LOOK_S)
            self._news.clear()
            began = self._clock()
            for worker in list(self._workers):
                if not _goes_on(worker):
                    with self._lock:
                        self._workers.remove(worker)
            measures.ENCODER_LAG.set(self._clock() - began)
            if began - trimmed_at > TRIM_S:
                realtime.trim()
                trimmed_at = began
        measures.ENCODER_LAG.set(0.0)

    def _sync(self) -> None:
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="sync") as threads:
            while not self._is_over("syncs"):
                began = self._clock()
                try:
                    due = [one for one in list(self._workers) if one.is_unsynced]
                    list(threads.map(_sync, due))
                except RuntimeError:  # the process ends, and takes no work any more
                    return
                time.sleep(max(SYNC_S - (self._clock() - began), 0))

    def _is_over(self, name: str) -> bool:
        """Whether nothing lies here any more; the thread ends then."""
        with self._lock:
            if not self._workers:
                del self._threads[name]
                return True
            return False


def _goes_on(worker: Worker) -> bool:
    with bound_contextvars(**worker.ids):
        try:
            return worker.work()
        except Exception:
            # One recorder's fault must not stop the others; its journal has it all.
            log.exception("recording.desk_failed")
            return True


def _sync(worker: Worker) -> None:
    with bound_contextvars(**worker.ids):
        try:
            worker.sync()
        except Exception:
            log.exception("recording.sync_failed")  # as above; soon again


desk = Desk()
