"""Masters, to be handed out: a link to what storage has, and what is done where it has
none. Serves nothing itself."""

from __future__ import annotations

import time
from uuid import UUID

from django.conf import settings

from sessions import finish, mixing, recordings
from sessions.errors import VoiceError
from sessions.models import Recording, State, Tier, VoiceSession
from sessions.storage import storage

AUDIO = "audio/mpeg"
RING_EVERY_S = 10.0
"""The same master is asked for so often at most, by each process."""
_rung: dict[UUID, float] = {}


def link_of(session: VoiceSession, recording_id: int | None = None) -> str | None:
    """A link that serves the master, or one of the other files, for DOWNLOAD_LINK_S;
    None where storage has no such file. Raises StorageError."""
    row = recordings.to_download(session.pk, recording_id)
    if row is None or storage().stat(row.key) is None:
        return None
    return _link(row)


def want(session: VoiceSession) -> None:
    """Have a master made that is not there, by a worker; a session that lives is left
    to its end. Raises VoiceError where there is no sound, and StorageError."""
    if session.state in (State.READY, State.FAILED):
        if not recordings.of_tier(session.pk, Tier.FRAGMENT):
            message = "Nothing was recorded in this session."
            raise VoiceError("not_recorded", message, status=404)
        recordings.replace_master(session.pk)
        if _may_ring(session):
            mixing.ring(session.pk)
    elif session.state == State.FINISHING and _may_ring(session):
        finish.ring(session.pk)


def _may_ring(session: VoiceSession) -> bool:
    """Whether nobody was rung for it just now: whoever asks again and again would fill
    the queue, and everybody's ends wait behind that."""
    now = time.monotonic()
    for other, rung_at in list(_rung.items()):
        if now - rung_at > RING_EVERY_S:
            _rung.pop(other, None)
    return _rung.setdefault(session.public_id, now) == now


def _link(row: Recording) -> str:
    name = row.key.rsplit("/", 1)[-1]
    expires_s = settings.DOWNLOAD_LINK_S
    return storage().link(
        row.key, expires_s=expires_s, filename=name, content_type=AUDIO
    )
