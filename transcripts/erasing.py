"""Erasing: what one person said in a session that is over goes, words first, then
sound; what others said stays.

The words go in one transaction, whatever becomes of the storage. From then on whatever
still comes to light of that person's is dropped instead of taken in.
"""

from __future__ import annotations

import structlog
from django.db import transaction

from sessions import bookmarks, erasing, events, participants
from sessions.models import Participant, State, VoiceSession
from transcripts import archive
from transcripts.models import Utterance

log = structlog.get_logger(__name__)

OVER = (State.READY, State.FAILED)
"""Nothing is written down in these any more."""


def erase(person: Participant) -> bool:
    """Delete everything somebody said in a session; False where that is not over yet,
    or somebody is at its files: try again. Raises StorageError; then too.

    Who they were is known until `participants.forget`.
    """
    if not _forget_words(person) or not erasing.erase(person):
        return False
    if not archive.store(person.session_id):
        return False
    erasing.mend(person.session_id)
    return True


@transaction.atomic
def _forget_words(person: Participant) -> bool:
    # The row's lock: its state does not change, and no late line comes in between.
    session = VoiceSession.objects.select_for_update().get(pk=person.session_id)
    if session.state not in OVER:
        return False
    said = Utterance.objects.filter(participant=person)
    ids = set(said.values_list("public_id", flat=True))
    said.delete()  # and what was made of it: corrections go with their lines
    told = events.forget(session.pk, participant=person.public_id, utterances=ids)
    bookmarks.forget_of(person)
    participants.erase(person)
    log.info("words.erased", session=session.pk, utterances=len(ids), events=told)
    return True
