"""The transcript's part of the end of a session: nobody's words are missing, or still
waiting.

What a process had received when it died and not yet made an utterance of is heard
again, from its journal on this host.
"""

from __future__ import annotations

from collections.abc import Iterator

import structlog
from django.db.models import Max

from sessions import keys, mixing, participants, spool
from sessions.audio.frames import TIMELINE_RATE, Placed
from sessions.audio.journal import Journal, JournalError, is_concluded
from sessions.capture import diary
from sessions.capture.sinks import Track
from sessions.models import Participant, VoiceSession
from sessions.spool import Folder
from transcripts import doorbell, rehearing, scribe, utterances
from transcripts.models import Utterance

log = structlog.get_logger(__name__)

REACH = 30 * TIMELINE_RATE
"""So much in front of a track's sudden end is heard again at least: as much as a page
keeps, and may have sent once more elsewhere, so that newer lines are known than those
of this connection. What is known already is not written down twice."""


def hear(session_id: int) -> bool:
    """Hear again what nobody heard out on this host; a durable step of the end.

    False while something is still recorded here.
    """
    session = VoiceSession.objects.get(pk=session_id)
    with mixing.alone(session) as is_ours:
        return is_ours and _hear_out(session)


def complete(session_id: int) -> bool:
    """Whether every utterance has its text or was given up; a durable step of the end.

    False rings for a worker: `utterances` queues the end again after the last one.
    """
    if not utterances.unfinished(session_id):
        return True
    doorbell.ring(doorbell.DRAIN)
    return False


def _hear_out(session: VoiceSession) -> bool:
    for folder in spool.folders(session.public_id) if session.record else []:
        with folder.taken() as is_ours:
            if not is_ours:
                return False
            try:
                if not _is_heard_out(folder):
                    _hear(session, folder)
                    diary.conclude(folder)
            except (JournalError, OSError):
                # What is wrong with it, its fragment's row tells.
                log.warning("backfill.unreadable", folder=folder.name, exc_info=True)
    return True


def _is_heard_out(folder: Folder) -> bool:
    if not spool.is_file(folder.journal):
        return True
    with folder.journal.open("rb") as file:
        return is_concluded(file)


def _hear(session: VoiceSession, folder: Folder) -> None:
    if (whose := keys.participant_of(folder.name)) is None:
        return  # a folder that is none of ours
    people = Participant.objects.filter(session=session, public_id=whose)
    person = people.filter(opted_out_at=None).exclude(key=participants.OURS).first()
    if person is None:
        return
    since = _since(person, folder)
    with folder.journal.open("rb") as file:
        journal = Journal(file)
        track = Track.of(session, person, rate=journal.head.rate)
        for cut in rehearing.cuts(track, _behind(journal.placed(), since)):
            utterances.record(scribe.spoken(track, cut))
    log.info("backfill.heard_again", session=session.pk, participant=person.pk)


def _since(person: Participant, folder: Folder) -> int:
    """The position from which on it may hold what nobody has written down."""
    with folder.journal.open("rb") as file:
        end = max((placed.end for placed in Journal(file).placed()), default=0)
    rows = Utterance.objects.filter(participant=person, end__lt=end)
    known = rows.aggregate(known=Max("end"))["known"] or 0
    return max(min(known, end - REACH), 0)


def _behind(sound: Iterator[Placed], since: int) -> Iterator[Placed]:
    return (placed for placed in sound if placed.end > since)
