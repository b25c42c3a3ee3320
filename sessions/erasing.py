"""Erasing: one person's sound is taken out of a session that is over; that of all
others stays.

What was made of everybody together cannot be taken apart: it goes too, and a worker
makes it anew of the tracks that are left. Where those were not kept that long, nothing
is left to make it of. May be called again at any time, and goes on where it was.
"""

from __future__ import annotations

from collections.abc import Iterator

import structlog
from django.db.models import Q

from sessions import keys, mixing, recordings, spool, tracks
from sessions.models import Participant, Recording, State, Tier, VoiceSession
from sessions.storage import storage

log = structlog.get_logger(__name__)

TOGETHER = (Tier.MASTER, Tier.TRANSCRIPT)


def erase(person: Participant) -> bool:
    """Delete the sound of somebody who is erased among the participants already; False
    while it is recorded or somebody is at its files. Raises StorageError."""
    session = person.session
    with mixing.alone(session) as is_ours:
        if not (is_ours and _drop_folders(person)):
            return False
        objects = list(_objects(person))
        storage().delete(objects)
        together = Q(participant=None, tier__in=TOGETHER)
        rows = Recording.objects.filter(Q(participant=person) | together)
        recordings.forget(list(rows.filter(session=session)))
        mixing.drop_work(session)
    log.info("sound.erased", session=session.pk, objects=len(objects))
    return True


def mend(session_id: int) -> None:
    """Have the master made anew, if anybody is left in it."""
    session = VoiceSession.objects.get(pk=session_id)
    if session.state != State.READY or not tracks.of_session(session):
        return
    mixing.ring(session.pk)


def _drop_folders(person: Participant) -> bool:
    """What lies on this host, also what nobody could read."""
    for folder in spool.folders(person.session.public_id):
        if keys.participant_of(folder.name) != person.public_id:
            continue
        with folder.taken() as is_ours:
            if not is_ours:
                return False
            folder.drop()
    return True


def _objects(person: Participant) -> Iterator[str]:
    """By their names: also those of which no row knows."""
    for found in storage().listing(keys.session_prefix(person.session.public_id)):
        parsed = keys.parse(found.key)
        if parsed is not None and (
            parsed.participant == person.public_id or parsed.tier in TOGETHER
        ):
            yield found.key
