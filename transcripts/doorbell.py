"""Ringing at the workers: a django-q task that says no more than "look at the rows".

May be lost at any time: what is to be done stands in the tables, and `sweeper` rings
again.
"""

from __future__ import annotations

import os
from functools import cache

import structlog
from django_q.brokers import Broker, get_broker
from django_q.tasks import async_task

log = structlog.get_logger(__name__)

STT = "stt"
MEDIA = "media"
DRAIN = "transcripts.tasks.drain"
PARTIAL = "transcripts.tasks.partial"
PULSE = "transcripts.tasks.pulse"
FINISH = "sessions.tasks.finish"
ARCHIVE = "transcripts.tasks.archive_again"


def ring(task: str, *args: int, cluster: str = STT) -> bool:
    """Queue a task; False when the broker could not be reached. Never raises."""
    try:
        async_task(task, *args, cluster=cluster, broker=_broker(cluster, os.getpid()))
    except Exception:
        # Whatever the broker's client raises: the row is safe, and the sweeper rings.
        log.warning("doorbell.failed", task=task, exc_info=True)
        return False
    return True


def waiting(cluster: str = STT) -> int | None:
    """Tasks that no worker has taken yet; None when the broker cannot be reached."""
    try:
        return int(_broker(cluster, os.getpid()).queue_size())
    except Exception:
        # As above; not knowing, the sweeper does not ring this time.
        log.warning("doorbell.unknown", cluster=cluster, exc_info=True)
        return None


@cache
def _broker(cluster: str, process: int) -> Broker:
    """One for each process: django-q makes one for each task, and where it is Redis's,
    a connection with each."""
    return get_broker(cluster)
