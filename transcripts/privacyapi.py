"""The API of people's rights in one session: how long it is kept, being forgotten, and
its report by mail. Parses, asks who it is, calls one service, answers."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import BaseModel, Field

from sessions import callers, keeping
from sessions.callers import identify
from sessions.errors import VoiceError
from transcripts import forgetting, reporting

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

    from sessions.models import VoiceSession

router = Router(tags=["privacy"], auth=identify)


class Error(Schema):
    code: str
    message: str


class Keep(BaseModel):
    keep: bool
    until: date | None = None


class KeptOut(Schema):
    keep: bool
    until: date | None
    sentence: str


class Forget(BaseModel):
    streams: list[UUID] = Field(min_length=1, max_length=forgetting.STREAMS_MOST)


class Receipts(Schema):
    receipts: list[UUID]


class Subscribed(Schema):
    subscribed: bool


ERRORS = {401: Error, 403: Error, 404: Error, 409: Error, 422: Error}


@router.patch(
    "/{public_id}/keeping", response={200: KeptOut, **ERRORS}, summary="Keep it or not"
)
def keep_session(request: HttpRequest, public_id: str, body: Keep) -> dict[str, object]:
    """For ever; to the end of a day; or as the settings say."""
    session, _ = callers.managing(request, public_id)
    if body.keep and body.until is not None:
        message = "Either for ever or until a day, not both."
        raise VoiceError("invalid", message, status=422)
    now = keeping.decide(session, keep=body.keep, until=body.until)
    return {
        "keep": now.keep_forever,
        "until": now.keep_until,
        "sentence": keeping.sentence(keeping.of(now)),
    }


@router.post(
    "/{public_id}/forget-me", response={202: Receipts, **ERRORS}, summary="Forget me"
)
def forget_me(
    request: HttpRequest, public_id: str, body: Forget
) -> Status[dict[str, object]]:
    """Whoever knows a stream's id spoke over it: nobody else is told it."""
    session = callers.opening(request, public_id)
    made = forgetting.stop_and_forget(session, body.streams)
    return Status(202, {"receipts": [one.public_id for one in made]})


@router.get(
    "/{public_id}/subscription",
    response={200: Subscribed, **ERRORS},
    summary="Whether a report comes",
)
def read_subscription(request: HttpRequest, public_id: str) -> dict[str, bool]:
    session, user = _reader(request, public_id)
    return {"subscribed": reporting.is_subscribed(session, user)}


@router.post(
    "/{public_id}/subscription", response={200: Subscribed, **ERRORS}, summary="Report"
)
def subscribe(request: HttpRequest, public_id: str) -> dict[str, bool]:
    """The report of it by mail, when it is ready."""
    return _subscribed(request, public_id, is_on=True)


@router.delete(
    "/{public_id}/subscription",
    response={200: Subscribed, **ERRORS},
    summary="No report",
)
def unsubscribe(request: HttpRequest, public_id: str) -> dict[str, bool]:
    return _subscribed(request, public_id, is_on=False)


def _subscribed(
    request: HttpRequest, public_id: str, *, is_on: bool
) -> dict[str, bool]:
    session, user = _reader(request, public_id)
    reporting.subscribe(session, user, is_on=is_on)
    return {"subscribed": is_on}


def _reader(
    request: HttpRequest, public_id: str
) -> tuple[VoiceSession, AbstractBaseUser]:
    """The session, and who is signed in. Raises VoiceError."""
    session = callers.opening(request, public_id)
    if (user := callers.of(request).user) is None:
        message = "A report is sent to people who are signed in."
        raise VoiceError("sign_in", message, status=401)
    return session, user
