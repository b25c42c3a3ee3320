"""The hosts of a deployment, told apart by their disks, and their workers' queues.

Sound lies on the disk that recorded it until storage has it, and only a worker beside
that disk can take it from there. So with Redis each media worker hears two queues:
everybody's, and its own host's. Without Redis there is one host, and one queue.

What is put into a queue may be lost at any time: what is to be done stands in the
tables, and the reaper rings again.
"""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import structlog
from django.conf import settings
from django_q.brokers import Broker, get_broker
from django_q.brokers.redis_broker import Redis
from django_q.tasks import async_task

from sessions import pulses
from sessions.outages import Outage

log = structlog.get_logger(__name__)

MEDIA = "media"
LIVING = "django_q:hosts"
"""Redis' sorted set: when each host's media workers last said that they live."""
_redis = Outage("Redis, for the names of hosts")
FORGOTTEN_S = 6 * 3600
"""A queue that nobody has heard for so long is dropped; so is its host's name."""


class HostBroker(Redis):  # type: ignore[misc, unused-ignore]
    """django-q's queue in Redis, whose media workers also hear their host's own."""

    _own_first = False

    def dequeue(self) -> Any:
        """One task, taken from the two queues by turns: neither waits for ever."""
        keys = [self.list_key]
        if self.list_key == _key(MEDIA):
            keys.append(_key(queue_of(here())))
            self._own_first = not self._own_first
        task = self.connection.blpop(keys[:: -1 if self._own_first else 1], 1)
        return [(None, task[1])] if task else None

    def enqueue(self, task: str) -> Any:
        """Put a task at the end; a host's own queue ends with its host."""
        length = self.connection.rpush(self.list_key, task)
        if self.list_key.startswith(f"django_q:{queue_of('')}"):
            self.connection.expire(self.list_key, FORGOTTEN_S)
        return length


@cache
def here() -> str:
    """This host's name: one for each data folder, made by whoever asks first."""
    path = Path(settings.DATA_DIR) / "host"
    while True:
        try:
            return path.read_text()
        except FileNotFoundError:
            _name(path)


def queue_of(host: str) -> str:
    return f"{MEDIA}-{host}"


def keep() -> None:
    """Say that this host has a media worker, for as long as this process lives."""
    if settings.REDIS_URL:
        pulses.repeat(beat, name="host")


def beat() -> None:
    """Say so once. Never raises."""
    try:
        redis = _broker(MEDIA, os.getpid()).connection
        now = redis.time()[0]
        redis.zadd(LIVING, {here(): now})
        redis.zremrangebyscore(LIVING, 0, now - FORGOTTEN_S)
    except Exception:
        _redis.began()  # whatever its client raises; it is said again in a moment
    else:
        _redis.ended()


def living() -> list[str]:
    """The hosts whose media workers live; none where there is one queue for all.

    Raises whatever the queue's client does.
    """
    if not settings.REDIS_URL:
        return []
    redis = _broker(MEDIA, os.getpid()).connection
    since = redis.time()[0] - pulses.SILENT_S
    return [name.decode() for name in redis.zrangebyscore(LIVING, since, "+inf")]


def ring(task: str, *args: int) -> bool:
    """Have a media worker of each host do `task`; False when nobody could be told.
    Never raises."""
    told = [put(task, *args, queue=queue) for queue in _queues()]
    return any(told)


def ring_all(task: str, ids: list[int]) -> bool:
    """The same for each of these, at hosts that have heard the last ring."""
    queues = [queue for queue in _queues() if ids and not waiting(queue)]
    told = [put(task, one, queue=queue) for queue in queues for one in ids]
    return any(told)


def ring_others(task: str, *args: int) -> None:
    """Have a media worker of each other host do `task`. Never raises."""
    for queue in set(_queues()) - {MEDIA, queue_of(here())}:
        put(task, *args, queue=queue)


def ring_here(task: str, *args: int) -> bool:
    """Have a media worker of this host do `task`. Never raises."""
    queue = queue_of(here()) if settings.REDIS_URL else MEDIA
    return put(task, *args, queue=queue)


def put(task: str, *args: int, queue: str) -> bool:
    """Queue a task; False when the broker could not be reached. Never raises."""
    try:
        async_task(task, *args, cluster=queue, broker=_broker(queue, os.getpid()))
    except Exception:
        # Whatever the broker's client raises: the row is safe, somebody rings again.
        log.warning("doorbell.failed", task=task, exc_info=True)
        return False
    return True


def waiting(queue: str) -> int | None:
    """Tasks that no worker has taken yet; None when the broker cannot be reached."""
    try:
        return int(_broker(queue, os.getpid()).queue_size())
    except Exception:
        # As above; whoever asked does not know, and decides.
        log.warning("doorbell.unknown", queue=queue, exc_info=True)
        return None


def _queues() -> list[str]:
    try:
        return [queue_of(host) for host in living()] or [MEDIA]
    except Exception:
        # As above; no host is known.
        log.warning("hosts.unknown", exc_info=True)
        return []


def _name(path: Path) -> None:
    """A new name, unless another process was faster; nobody sees it half-written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent) as file:
        file.write(uuid4().hex)
        file.flush()
        try:
            os.link(file.name, path)
        except FileExistsError:
            return


def _key(queue: str) -> str:
    """A queue's name in Redis, as django-q has it."""
    return f"django_q:{queue}:q"


@cache
def _broker(queue: str, process: int) -> Broker:
    """One for each process: django-q makes one for each task, and where it is Redis's,
    a connection with each."""
    return get_broker(queue)
