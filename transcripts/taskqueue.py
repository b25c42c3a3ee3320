"""django-q's queue between its processes, made to outlive a worker that is gone.

A worker that waits in multiprocessing's `Queue.get` holds the queue's read lock. Killed
there (the kernel, short of memory, picks the process with the speech model), it never
lets go, and every worker started after it waits for ever.

A cluster told to stop in the half second in which its only worker is gone (killed, or
through with its share of tasks) never stops: the queue is full, nobody takes from it,
and the pusher waits for room before it looks whether to leave.

Nor does one that is told twice (Ctrl-C reaches a whole terminal, and a supervisor
passes it on): the second signal's handler, run in the midst of the first's, waits for
the lock that the first one holds.
"""

from __future__ import annotations

import multiprocessing
from queue import Empty
from types import FrameType
from typing import Any

import django_q.cluster
import django_q.queues

_ENOUGH = 1000
_LOOK_S = 1.0
_TAKE_S = 0.1
_LEAVE_S = 2.0
"""What a pusher needs to look at its broker once more."""


class TaskQueue(django_q.queues.Queue):  # type: ignore[misc, unused-ignore]
    """Waits without the lock, and holds it only to take what is there."""

    def __init__(self, maxsize: int = 0) -> None:
        super().__init__(maxsize)
        if maxsize:  # as its base has it, but it may be raised above its first value
            self._sem = multiprocessing.Semaphore(maxsize)

    def make_room(self) -> None:
        """Let whoever puts go on at once, from here on."""
        for _ in range(_ENOUGH):
            self._sem.release()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: FBT001, FBT002 (as its base)
        if not block or timeout is not None:
            return super().get(block, timeout)
        while True:
            if self._reader.poll(_LOOK_S):
                try:
                    return super().get(True, _TAKE_S)
                except Empty:  # another worker was faster
                    continue


class Sentinel(django_q.cluster.Sentinel):  # type: ignore[misc, unused-ignore]
    """Stops also while no worker takes, or Redis is away. What is left is rung anew."""

    def stop(self) -> None:
        self.event_out.set()
        self.task_queue.make_room()
        self.pusher.join(_LEAVE_S)
        if self.pusher.is_alive():  # Redis is away, and it sleeps ten seconds over it
            self.pusher.terminate()
        super().stop()


class Cluster(django_q.cluster.Cluster):  # type: ignore[misc, unused-ignore]
    """Stops once, however often it is told."""

    _is_told = False

    def sig_handler(self, signum: int, frame: FrameType | None) -> None:
        if not self._is_told:
            self._is_told = True
            super().sig_handler(signum, frame)


def install() -> None:
    """Have clusters of this process use it; django-q has no setting for it."""
    django_q.cluster.Cluster = Cluster
    django_q.cluster.Queue = TaskQueue
    django_q.cluster.Sentinel = Sentinel
