"""What django-q calls: ids in, one service each."""

from __future__ import annotations

from django.utils import timezone
from structlog.contextvars import bound_contextvars

from sessions import finish as the_end
from sessions import jobs, mixing, queries, recovery, retention


def finish(session_id: int) -> bool:
    """The durable steps of a session's end (media queue)."""
    with bound_contextvars(session=session_id):
        return the_end.complete(session_id)


def store(session_id: int) -> bool:
    """Store what a running session has sealed so far (media queue)."""
    with bound_contextvars(session=session_id):
        return mixing.store(session_id)


def remix(session_id: int) -> bool:
    """Make a master again that storage has lost (media queue)."""
    with bound_contextvars(session=session_id):
        return mixing.remix(session_id)


def recover(session_id: int) -> list[str]:
    """Carry on with sound that came to light after the end (media queue)."""
    with bound_contextvars(session=session_id):
        public_id = queries.public_id_of(session_id)
        return [one.done for one in recovery.recover(public_id)]


def retain() -> int:
    """Delete what was kept long enough (media queue)."""
    return retention.run(now=timezone.now())


def job(job_id: int) -> bool:
    """Go on with what a moderator asked for (media queue)."""
    return jobs.work(job_id)
