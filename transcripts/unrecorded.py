"""Sessions with `record` off leave nothing behind of what was said.

While such a session lives, its words must wait somewhere: for the model, and for those
who read along. Its end deletes them, sound and text, before it is called ready; also
what a process that died had written beside the database.
"""

from __future__ import annotations

import structlog
from django.db import transaction

from sessions import bookmarks, deletion
from sessions.models import SessionEvent, State, VoiceSession
from transcripts.models import Utterance

log = structlog.get_logger(__name__)

SPOKEN_EVENTS = ("utterance", "utterance.corrected", "tone", "notice", "note")


def forget(session_id: int) -> bool:
    """Delete what was said where recording is off; a durable step of the end. Not done
    for as long as the disk keeps some of it."""
    with transaction.atomic():
        # The row's lock: no late utterance comes in between.
        session = VoiceSession.objects.select_for_update().get(pk=session_id)
        if session.record:
            return True
        bookmarks.forget_session(session)
        said, _ = Utterance.objects.filter(session=session).delete()
        events = SessionEvent.objects.filter(session=session, type__in=SPOKEN_EVENTS)
        told, _ = events.delete()
    try:
        deletion.forget_words(session)
    except deletion.NotForgottenError as e:
        log.error("session.not_forgotten", session=session_id, why=e.message)
        return False
    log.info("session.forgotten", session=session_id, utterances=said, events=told)
    return True


def is_forgotten(session_id: int) -> bool:
    """Whether nothing of it may be kept any more: a late line comes too late. Called in
    the transaction that would keep it, which a session's end then waits for."""
    rows = VoiceSession.objects.select_for_update().filter(pk=session_id, record=False)
    state = rows.values_list("state", flat=True).first()
    return state in (State.FINISHING, State.READY, State.DELETED)
