"""Ringing at the workers: a django-q task that says no more than "look at the rows".

May be lost at any time: what is to be done stands in the tables, and `sweeper` rings
again.
"""

from __future__ import annotations

from sessions import hosts

STT = "stt"
MEDIA = hosts.MEDIA
DRAIN = "transcripts.tasks.drain"
PARTIAL = "transcripts.tasks.partial"
PULSE = "transcripts.tasks.pulse"
ARCHIVE = "transcripts.tasks.archive_again"


def ring(task: str, *args: int, cluster: str = STT) -> bool:
    """Queue a task; False when the broker could not be reached. Never raises."""
    return hosts.put(task, *args, queue=cluster)


def waiting(cluster: str = STT) -> int | None:
    """Tasks that no worker has taken yet; None when the broker cannot be reached."""
    return hosts.waiting(cluster)
