"""What django-q calls of ours in a media worker: ids in, one service each."""

from __future__ import annotations

from transcripts import forgetting, reporting


def forget(erasure_id: int) -> bool:
    """Go on with somebody's wish to be forgotten."""
    return forgetting.go_on(erasure_id)


def report(session_id: int) -> int:
    """Send the reports of a session that is ready."""
    return reporting.send_all(session_id)
