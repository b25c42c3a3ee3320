"""django-q's queue between its processes, made to outlive a killed worker.

A worker that waits in multiprocessing's `Queue.get` holds the queue's read lock. Killed
there (the kernel, short of memory, picks the process with the speech model), it never
lets go, and every worker started after it waits for ever.
"""

from __future__ import annotations

from queue import Empty
from typing import Any

import django_q.cluster
import django_q.queues

_LOOK_S = 1.0
_TAKE_S = 0.1


class TaskQueue(django_q.queues.Queue):  # type: ignore[misc, unused-ignore]
    """Waits without the lock, and holds it only to take what is there."""

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: FBT001, FBT002 (as its base)
        if not block or timeout is not None:
            return super().get(block, timeout)
        while True:
            if self._reader.poll(_LOOK_S):
                try:
                    return super().get(True, _TAKE_S)
                except Empty:  # another worker was faster
                    continue


def install() -> None:
    """Have clusters of this process use it; django-q has no setting for it."""
    django_q.cluster.Queue = TaskQueue
