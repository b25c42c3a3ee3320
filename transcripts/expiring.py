"""Expiring: what was said in a session goes when its days are over, text by text; and
with its sound, the sound of utterances that nobody could write down.

Called by `sessions.retention`, which knows whose days are over.
"""

from __future__ import annotations

from datetime import datetime

import structlog
from django.db import transaction

from sessions import deletion, events, recordings, retention
from sessions.models import Recording, SessionEvent, Tier, VoiceSession
from transcripts.models import Utterance
from transcripts.unrecorded import SPOKEN_EVENTS

log = structlog.get_logger(__name__)

SESSIONS_AT_ONCE = 50


def sweep(*, now: datetime) -> int:
    """Delete the words of sessions whose days are over; how many sessions. Raises
    StorageError and NotForgottenError."""
    _drop_unwritten()
    rows = VoiceSession.objects.filter(
        retention.expired(Tier.TRANSCRIPT, now=now), record=True, words_deleted_at=None
    )
    return sum(
        _forget(session, now=now) for session in rows.order_by("pk")[:SESSIONS_AT_ONCE]
    )


def _drop_unwritten() -> None:
    """Sound that lies with an utterance is sound of its session, too."""
    kept = Utterance.objects.filter(
        session__sound_deleted_at__isnull=False, audio__isnull=False
    )
    kept.update(audio=None)


def _forget(session: VoiceSession, *, now: datetime) -> bool:
    if not retention.is_expired(session, Tier.TRANSCRIPT, now=now):
        return False
    rows = Recording.objects.filter(session=session, tier=Tier.TRANSCRIPT)
    recordings.forget(list(rows))
    try:
        deletion.forget_words(session)
    except deletion.NotForgottenError as e:
        log.error("session.not_forgotten", session=session.pk, why=e.message)
        return False
    with transaction.atomic():
        VoiceSession.objects.select_for_update().get(pk=session.pk)
        said, _ = Utterance.objects.filter(session=session).delete()
        told = SessionEvent.objects.filter(session=session, type__in=SPOKEN_EVENTS)
        count, _ = told.delete()
        if count:
            events.append(session.pk, events.ERASED, {})
        retention.note_deleted(session, "words", now=now)
    log.info("session.words_expired", session=session.pk, rows=said, events=count)
    return True
