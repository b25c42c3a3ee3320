"""Deletion: everything of a session goes, first where it is largest.

Objects and files before rows: when storage does not answer, the session is still there
and is asked for again, and nothing stays behind that nobody knows of.
"""

from __future__ import annotations

import contextlib

import structlog
from django.conf import settings
from django.utils.module_loading import import_string

from sessions import keys, mixing, spool
from sessions.errors import VoiceError
from sessions.models import Deleted, VoiceSession
from sessions.storage import StorageError, storage

log = structlog.get_logger(__name__)


class NotForgottenError(VoiceError):
    """A file with words of a session cannot be deleted: the disk refuses."""

    def __init__(self, why: str) -> None:
        message = f"A file of it cannot be deleted: {why}."
        super().__init__("not_forgotten", message, status=500)


def delete(session: VoiceSession) -> None:
    """Delete a session that has ended: its objects, its files, its rows.

    Raises StorageError and NotForgottenError; then it may be called again.
    """
    forget_words(session)
    prefix = keys.session_prefix(session.public_id)
    objects = [found.key for found in storage().listing(prefix)]
    storage().delete(objects)
    for folder in spool.folders(session.public_id):
        folder.drop()
    mixing.drop_work(session)
    session_id = session.pk
    Deleted.objects.get_or_create(public_id=session.public_id)
    session.delete()
    # What a worker was just making of it has no row any more, and nobody else's.
    with contextlib.suppress(StorageError):  # `reconcile` finds them otherwise
        storage().delete([found.key for found in storage().listing(prefix)])
    log.info("session.deleted", session=session_id, objects=len(objects))


def forget_words(session: VoiceSession) -> None:
    """Delete its words on this host that are not in the database. May be called again.

    Raises NotForgottenError.
    """
    for path in settings.FORGETTERS:
        try:
            import_string(path)(session)
        except OSError as e:
            raise NotForgottenError(e.strerror or type(e).__name__) from e
