"""The transcript's part of the end of a session: nobody's words are still waiting."""

from __future__ import annotations

from transcripts import doorbell, utterances


def complete(session_id: int) -> bool:
    """Whether every utterance has its text or was given up; a durable step of the end.

    False rings for a worker: `utterances` queues the end again after the last one.
    """
    if not utterances.unfinished(session_id):
        return True
    doorbell.ring(doorbell.DRAIN)
    return False
