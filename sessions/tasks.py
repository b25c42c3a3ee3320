"""What django-q calls: ids in, one service each."""

from __future__ import annotations

from sessions import finish as the_end


def finish(session_id: int) -> bool:
    """The durable steps of a session's end (media queue)."""
    return the_end.complete(session_id)
