"""The scribe: makes rows of utterances, and questions of what is being said."""

from __future__ import annotations

import asyncio
import itertools

import structlog
from channels.db import database_sync_to_async
from django.db import (
    InterfaceError,
    OperationalError,
    close_old_connections,
    transaction,
)

from sessions.capture.sinks import Track
from transcripts import partials, unrecorded, utterances
from transcripts.ear import Cut
from transcripts.hearing import Found, Hearing

log = structlog.get_logger(__name__)

RETRY_S = (0.1, 0.5, 2.0, 5.0)
AWAY = (OperationalError, InterfaceError, OSError)
"""What a database that is locked or absent raises; it comes back."""
REFUSED_AFTER = 3


async def write(found: Found) -> None:
    """Write one thing down; then whoever waits for the track's end goes on."""
    if found.cut is not None:
        await record(found.hearing.track, found.cut)
        found.hearing.on_their_way.remove(found.cut.audio_start)
    elif found.partial is not None:
        await database_sync_to_async(_offer)(found.hearing, found.partial)
    written = found.hearing.written
    if found.closed and written is not None and not written.done():
        written.set_result(None)


async def record(track: Track, cut: Cut) -> None:
    """Make it a row; as often as it takes while the database is away."""
    said = spoken(track, cut)
    for attempt in itertools.count():
        try:
            await database_sync_to_async(_record)(track, said)
            return
        except Exception as e:
            # A locked or absent database comes back, and those behind us wait for it
            # anyway. A row it will never take must not keep them waiting.
            log.exception("utterance.not_recorded", **track.ids)
            if not isinstance(e, AWAY) and attempt >= REFUSED_AFTER:
                log.error("utterance.lost", **track.ids)
                return
            await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])


def spoken(track: Track, cut: Cut) -> utterances.Spoken:
    """An utterance of a track, as its row is made."""
    return utterances.Spoken(
        public_id=cut.utterance_id,
        session_id=track.session_id,
        participant_id=track.participant_id,
        start=cut.start,
        end=cut.end,
        audio_start=cut.audio_start,
        audio=cut.audio.astype("<i2").tobytes(),
    )


def _record(track: Track, spoken: utterances.Spoken) -> None:
    close_old_connections()
    with transaction.atomic():
        if not track.recorded and unrecorded.is_forgotten(spoken.session_id):
            return
        utterances.record(spoken)
    partials.withdraw(spoken.session_id, spoken.participant_id)


def _offer(hearing: Hearing, cut: Cut) -> None:
    """Ask for provisional text; a question not yet answered is replaced."""
    track = hearing.track
    partials.offer(
        partials.PartialRequest(
            session_id=track.session_id,
            participant_id=track.participant_id,
            participant_public_id=track.participant_public_id,
            name=track.name,
            utterance_id=cut.utterance_id,
            rev=hearing.rev,
            start=cut.start,
            audio_start=cut.audio_start,
            audio=cut.audio.astype("<i2").tobytes(),
        )
    )
