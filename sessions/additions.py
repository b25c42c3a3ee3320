"""The HTTP API of what people add to a session: speakers' names, notes, share links."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Schema, Status

from sessions import access, addresses, bookmarks, callers, participants, shares
from sessions.audio.frames import SAMPLES_PER_MS
from sessions.audit import Kind
from sessions.bookmarks import Author
from sessions.callers import identify
from sessions.errors import VoiceError
from sessions.models import Bookmark, Participant, Share, VoiceSession

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

router = Router(tags=["additions"], auth=identify)


class Error(Schema):
    code: str
    message: str


ERRORS = {401: Error, 403: Error, 404: Error, 409: Error, 422: Error}


class NewName(Schema):
    name: str


class Named(Schema):
    id: UUID
    name: str


class Into(Schema):
    into: str


@router.patch(
    "/{public_id}/participants/{participant}",
    response={200: Named, **ERRORS},
    summary="Give a speaker another name",
)
def rename(
    request: HttpRequest, public_id: str, participant: str, body: NewName
) -> Named:
    """Of one who was merged into another: the other's."""
    session, user = callers.managing(request, public_id)
    return _named(participants.rename(session, participant, body.name, by=user))


@router.post(
    "/{public_id}/participants/{participant}/merge",
    response={200: Named, **ERRORS},
    summary="Show a speaker as another one",
)
def merge(request: HttpRequest, public_id: str, participant: str, body: Into) -> Named:
    """The answer is whom both are from here on."""
    session, user = callers.managing(request, public_id)
    return _named(participants.merge(session, participant, into=body.into, by=user))


def _named(person: Participant) -> Named:
    return Named(id=person.public_id, name=person.name)


class NewBookmark(Schema):
    # Milliseconds since the session began; none: this moment.
    at_ms: int | None = None
    text: str = ""


class ChangedBookmark(Schema):
    at_ms: int | None = None
    text: str | None = None


class BookmarkOut(Schema):
    id: UUID
    at_ms: int
    text: str
    by: str
    created_at: datetime
    # By whoever asks: their own, or any for who manages the session.
    may_change: bool


@router.get(
    "/{public_id}/bookmarks",
    response={200: list[BookmarkOut], **ERRORS},
    summary="Notes, by their time",
)
def list_bookmarks(request: HttpRequest, public_id: str) -> list[BookmarkOut]:
    session = callers.opened_for(request, public_id, kind=Kind.TRANSCRIPT)
    user = callers.of(request).user
    manages = user is not None and access.may_manage(session, user)
    found = bookmarks.of_session(session)
    return [_marked(row, may_change=manages or _wrote(row, user)) for row in found]


@router.post(
    "/{public_id}/bookmarks",
    response={201: BookmarkOut, **ERRORS},
    summary="Take a note, of this moment or another one",
)
def take_bookmark(
    request: HttpRequest, public_id: str, body: NewBookmark
) -> Status[BookmarkOut]:
    session, user = _opened(request, public_id)
    author = Author(user.get_username(), user) if user else Author()
    row = bookmarks.take(session, body.text, by=author, at_ms=body.at_ms)
    return Status(201, _marked(row, may_change=user is not None))


@router.patch(
    "/{public_id}/bookmarks/{bookmark}",
    response={200: BookmarkOut, **ERRORS},
    summary="Change a note",
)
def change_bookmark(
    request: HttpRequest, public_id: str, bookmark: str, body: ChangedBookmark
) -> BookmarkOut:
    row = _own(request, public_id, bookmark)
    changed = bookmarks.change(row, text=body.text, at_ms=body.at_ms)
    return _marked(changed, may_change=True)


@router.delete(
    "/{public_id}/bookmarks/{bookmark}",
    response={204: None, **ERRORS},
    summary="Take a note away",
)
def delete_bookmark(
    request: HttpRequest, public_id: str, bookmark: str
) -> Status[None]:
    bookmarks.delete(_own(request, public_id, bookmark))
    return Status(204, None)


def _opened(
    request: HttpRequest, public_id: str
) -> tuple[VoiceSession, AbstractBaseUser | None]:
    """The session, and who is signed in: somebody with its link need not be."""
    return callers.opening(request, public_id), callers.of(request).user


def _own(request: HttpRequest, public_id: str, bookmark: str) -> Bookmark:
    """A note that the caller may change: their own, or any for who manages."""
    session, user = _opened(request, public_id)
    row = bookmarks.find(session, bookmark)
    manages = user is not None and access.may_manage(session, user)
    if not (manages or _wrote(row, user)):
        message = "Only who took a note, and who manages the session, may change it."
        raise VoiceError("not_yours", message, status=403)
    return row


def _wrote(row: Bookmark, user: AbstractBaseUser | None) -> bool:
    return user is not None and row.user_id == user.pk


def _marked(row: Bookmark, *, may_change: bool) -> BookmarkOut:
    return BookmarkOut(
        id=row.public_id,
        at_ms=row.position // SAMPLES_PER_MS,
        text=row.text,
        by=row.name,
        created_at=row.created_at,
        may_change=may_change,
    )


class NewShare(Schema):
    days: int


class ShareOut(Schema):
    id: UUID
    url: str
    expires_at: datetime
    created_at: datetime


@router.get(
    "/{public_id}/shares",
    response={200: list[ShareOut], **ERRORS},
    summary="The links that show this session",
)
def list_shares(request: HttpRequest, public_id: str) -> list[ShareOut]:
    session, _ = callers.managing(request, public_id)
    return [_linked(row, request) for row in shares.of_session(session)]


@router.post(
    "/{public_id}/shares",
    response={201: ShareOut, **ERRORS},
    summary="Make a link that shows it, for some days",
)
def share(request: HttpRequest, public_id: str, body: NewShare) -> Status[ShareOut]:
    session, user = callers.managing(request, public_id)
    row = shares.share(session, days=body.days, by=user)
    return Status(201, _linked(row, request))


@router.delete(
    "/{public_id}/shares/{share_id}",
    response={204: None, **ERRORS},
    summary="Have a link show nothing any more",
)
def revoke(request: HttpRequest, public_id: str, share_id: str) -> Status[None]:
    session, _ = callers.managing(request, public_id)
    shares.revoke(session, share_id)
    return Status(204, None)


def _linked(row: Share, request: HttpRequest) -> ShareOut:
    return ShareOut(
        id=row.public_id,
        url=addresses.of_share(row, base=request),
        expires_at=row.expires_at,
        created_at=row.created_at,
    )
