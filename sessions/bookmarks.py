"""THE writer of bookmarks: moments of a session that people mark, mostly with a note.

While the session runs each is told in its log, so that every page shows it. Never asks
who may: the edges do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from sessions import events
from sessions.audio.frames import SAMPLES_PER_MS
from sessions.errors import VoiceError
from sessions.models import ERASED, Bookmark, Participant, VoiceSession
from sessions.names import clean

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

log = structlog.get_logger(__name__)

TEXT_MAX = 500
MOST = 2000
"""In one session: whoever opens it is sent all of them."""
GUEST = "Guest"
AHEAD_MS = 5000
"""So far a page's clock may be ahead of ours."""


@dataclass(frozen=True, slots=True)
class Author:
    """Who marks: an account, somebody as a source names them ("discord:1"), or a guest
    of whom nothing is known."""

    name: str = GUEST
    user: AbstractBaseUser | None = None
    key: str = ""


def of_session(session: VoiceSession) -> list[Bookmark]:
    """By their place in the session."""
    return list(session.bookmarks.all())


def take(
    session: VoiceSession,
    text: str,
    *,
    by: Author,
    at_ms: int | None = None,
    now: datetime | None = None,
) -> Bookmark:
    """Mark a moment of a session; None: this one. Raises VoiceError."""
    text, now = _checked(text), now or timezone.now()
    at_ms = _here(session, now) if at_ms is None else _placed(session, at_ms, now)
    with transaction.atomic():
        _check_kept(session)
        if session.bookmarks.count() >= MOST:
            message = f"A session takes {MOST} notes at most."
            raise VoiceError("too_many", message, status=409)
        row = Bookmark.objects.create(
            session=session,
            position=at_ms * SAMPLES_PER_MS,
            text=text,
            user_id=by.user.pk if by.user else None,
            author=by.key,
            name=clean(by.name, longest=80) or GUEST,
            created_at=now,
        )
        events.append(session.pk, events.NOTE, _told(row))
    log.info("bookmark.taken", session=session.pk, bookmark=row.pk)
    return row


def find(session: VoiceSession, public_id: UUID | str) -> Bookmark:
    """Raises VoiceError."""
    try:
        return session.bookmarks.get(public_id=public_id)
    except (Bookmark.DoesNotExist, ValidationError, ValueError) as e:
        raise VoiceError("not_found", "There is no such note.", status=404) from e


def change(row: Bookmark, *, text: str | None, at_ms: int | None) -> Bookmark:
    """Give it other words, or another place; None leaves either. Raises VoiceError."""
    if text is not None:
        row.text = _checked(text)
    if at_ms is not None:
        placed_ms = _placed(row.session, at_ms, timezone.now())
        row.position = placed_ms * SAMPLES_PER_MS
    with transaction.atomic():
        _check_kept(row.session)
        rows = Bookmark.objects.filter(pk=row.pk)
        if not rows.update(text=row.text, position=row.position):
            raise VoiceError("not_found", "There is no such note.", status=404)
        events.append(row.session_id, events.NOTE, _told(row))
    return row


def delete(row: Bookmark) -> None:
    """Take it away, also out of the log."""
    with transaction.atomic():
        Bookmark.objects.filter(pk=row.pk).delete()
        events.forget_note(row.session_id, row.public_id)
    log.info("bookmark.deleted", session=row.session_id, bookmark=row.pk)


def forget_session(session: VoiceSession) -> None:
    """Nothing of it is kept: nor are its notes. The log is the caller's."""
    Bookmark.objects.filter(session=session).delete()


def forget_of(person: Participant) -> None:
    """Delete what somebody noted in a session they spoke in, by their key. Joins the
    caller's transaction; the log is `events.forget`'s."""
    if key := person.key.removeprefix(ERASED):
        Bookmark.objects.filter(session=person.session_id, author=key).delete()


def forget_author(key: str, *, before: datetime) -> int:
    """Delete what somebody noted in any session until a moment, also in the logs; how
    many notes."""
    with transaction.atomic():
        rows = Bookmark.objects.filter(author=key, created_at__lte=before)
        gone, _ = rows.delete()
        events.forget_notes(key, before=before)
    return gone


def forget_account(user_id: int, *, before: datetime) -> int:
    """The same of what somebody noted while they were signed in."""
    rows = list(Bookmark.objects.filter(user=user_id, created_at__lte=before))
    for row in rows:
        delete(row)
    return len(rows)


def _checked(text: str) -> str:
    if len(text) > TEXT_MAX:
        message = f"A note takes {TEXT_MAX} characters at most."
        raise VoiceError("too_long", message, status=422)
    return clean(text, longest=TEXT_MAX)


def _check_kept(session: VoiceSession) -> None:
    """Of what is not recorded nothing stays, so nothing is added to it once it is over.
    Locks the row: its end deletes what was noted before. Raises VoiceError."""
    row = VoiceSession.objects.select_for_update().get(pk=session.pk)
    if not (row.record or row.is_open):
        message = "Nothing of this session is kept, no notes either."
        raise VoiceError("not_kept", message, status=409)


def _here(session: VoiceSession, now: datetime) -> int:
    if not session.is_open:
        message = "The session is over: say which moment of it you mean."
        raise VoiceError("no_moment", message, status=422)
    return _lasted_ms(session, now)


def _placed(session: VoiceSession, at_ms: int, now: datetime) -> int:
    """A moment that somebody names."""
    lasted_ms = _lasted_ms(session, now)
    ahead_ms = 0 if session.ended_at else AHEAD_MS
    if not 0 <= at_ms <= lasted_ms + ahead_ms:
        message = "This moment does not lie in the session."
        raise VoiceError("bad_moment", message, status=422)
    return min(at_ms, lasted_ms)


def _lasted_ms(session: VoiceSession, now: datetime) -> int:
    if session.started_at is None:
        raise VoiceError("not_begun", "The session has not begun.", status=409)
    lasted = (session.ended_at or now) - session.started_at
    return max(round(lasted.total_seconds() * 1000), 0)


def _told(row: Bookmark) -> dict[str, Any]:
    """The data of a `note` event. Of whom a source knows, the log forgets by key and by
    participant."""
    data = {
        "id": str(row.public_id),
        "author": row.author,
        "name": row.name,
        "at_ms": row.position // SAMPLES_PER_MS,
        "text": row.text,
    }
    if row.author:
        people = Participant.objects.filter(session=row.session_id, key=row.author)
        if (person := people.first()) is not None:
            data["participant"] = str(person.public_id)
    return data
