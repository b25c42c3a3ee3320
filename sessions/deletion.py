"""Deletion: everything of a session goes, first where it is largest.

Objects and files before rows: when storage does not answer, the session is still there
and is asked for again, and nothing stays behind that nobody knows of.
"""

from __future__ import annotations

import structlog

from sessions import keys, mixing, spool
from sessions.models import VoiceSession
from sessions.storage import storage

log = structlog.get_logger(__name__)


def delete(session: VoiceSession) -> None:
    """Delete a session that has ended: its objects, its files, its rows.

    Raises StorageError; then it may be called again.
    """
    prefix = keys.session_prefix(session.public_id)
    objects = [found.key for found in storage().listing(prefix)]
    storage().delete(objects)
    for folder in spool.folders(session.public_id):
        folder.drop()
    mixing.drop_work(session)
    session_id = session.pk
    session.delete()
    log.info("session.deleted", session=session_id, objects=len(objects))
