"""Expiring: what was said in a session goes when its days are over, text by text; and
with its sound, the sound of utterances that nobody could write down.

Called by `sessions.retention`, which knows whose days are over.
"""

from __future__ import annotations

from datetime import datetime
from itertools import islice

import structlog
from django.db import transaction

from sessions import deletion, events, recordings, retention
from sessions.models import Recording, SessionEvent, Tier, VoiceSession
from transcripts.models import Utterance
from transcripts.unrecorded import SPOKEN_EVENTS

log = structlog.get_logger(__name__)


def sweep(*, now: datetime) -> int:
    """Delete the words of sessions whose days are over; how many sessions. Raises
    StorageError and NotForgottenError."""
    _drop_unwritten()
    _drop_left()
    rows = VoiceSession.objects.filter(
        retention.expired(Tier.TRANSCRIPT, now=now), record=True, words_deleted_at=None
    )
    # One that cannot be forgotten holds up none behind it.
    forgotten = (_forget(session, now=now) for session in rows.order_by("pk"))
    return sum(islice(filter(None, forgotten), retention.SESSIONS_AT_ONCE))


def _drop_left() -> None:
    """Transcripts in storage of words that are gone: it was away, or one was stored
    while they went."""
    rows = Recording.objects.filter(
        session__words_deleted_at__isnull=False, tier=Tier.TRANSCRIPT
    )
    recordings.forget(list(rows[: retention.AT_ONCE]))


def _drop_unwritten() -> None:
    """Sound that lies with an utterance is sound of its session, too."""
    kept = Utterance.objects.filter(
        session__sound_deleted_at__isnull=False, audio__isnull=False
    )
    kept.update(audio=None)


def _forget(session: VoiceSession, *, now: datetime) -> bool:
    """The tables first, under the row's lock as `keeping.decide` takes it: of the two,
    one comes first. Then what storage has."""
    try:
        with transaction.atomic():
            VoiceSession.objects.select_for_update().get(pk=session.pk)
            if not retention.is_expired(session, Tier.TRANSCRIPT, now=now):
                return False
            said, _ = Utterance.objects.filter(session=session).delete()
            told = SessionEvent.objects.filter(session=session, type__in=SPOKEN_EVENTS)
            count, _ = told.delete()
            if count:
                events.append(session.pk, events.ERASED, {})
            retention.note_deleted(session, "words", now=now)
            deletion.forget_words(session)
    except deletion.NotForgottenError as e:
        log.error("session.not_forgotten", session=session.pk, why=e.message)
        return False
    rows = Recording.objects.filter(session=session, tier=Tier.TRANSCRIPT)
    recordings.forget(list(rows))
    log.info("session.words_expired", session=session.pk, rows=said, events=count)
    return True
