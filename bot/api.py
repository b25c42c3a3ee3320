"""The HTTP API of calls: announced before they come, handed over while they last."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any
from uuid import UUID, uuid4

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema, Status
from pydantic import AfterValidator, Field

from bot.phone import calls
from bot.phone.calls import Registration
from sessions import callers
from sessions.api import ERRORS
from sessions.callers import identify_for_calls
from sessions.errors import VoiceError

router = Router(tags=["calls"], auth=identify_for_calls)

METADATA_MAX = 4_000
"""Characters of JSON: notes for the dialogue, not a database."""
METADATA_DEEPEST = 20
NOT_STORABLE = re.compile("[\0\ud800-\udfff]")
"""What JSON can write, and PostgreSQL takes in no text: NUL and halves of a pair."""


def _storable(value: Any, depth: int = 0) -> Any:
    """The JSON itself. Raises ValueError where a database would not take it."""
    if depth > METADATA_DEEPEST:
        raise ValueError(f"it is more than {METADATA_DEEPEST} levels deep")
    if isinstance(value, str) and NOT_STORABLE.search(value):
        raise ValueError("it has a character that cannot be stored")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("it has a number that is none")
    parts = [*value, *value.values()] if isinstance(value, dict) else value
    if isinstance(parts, list):
        for part in parts:
            _storable(part, depth + 1)
    return value


class NewCall(Schema):
    """A call that will come. Without `uuid` one is made: give it to the dialplan."""

    uuid: UUID | None = None
    caller: Annotated[str, Field(max_length=64)] = ""
    callee: Annotated[str, Field(max_length=64)] = ""
    language: Annotated[str, Field(max_length=8, pattern=r"^([a-z]{2,3})?$")] = ""
    metadata: Annotated[
        dict[str, Any], Field(default_factory=dict), AfterValidator(_storable)
    ]


class CallOut(Schema):
    uuid: str
    session: str | None
    transfer_to: str
    ended: bool


class Target(Schema):
    """An extension, or `context,extension,priority`."""

    to: Annotated[str, Field(max_length=200)]


@router.post("", response={201: CallOut, **ERRORS}, summary="Announce a call")
def register_call(request: HttpRequest, body: NewCall) -> Status[CallOut]:
    """With AUDIOSOCKET_STRICT only announced calls are taken, for ten minutes."""
    user = callers.of(request).user
    if user is None:
        message = "Announcing a call needs a sign-in or an API token."
        raise VoiceError("sign_in", message, status=401)
    if len(str(body.metadata)) > METADATA_MAX:
        raise VoiceError("too_large", "metadata is too large.", status=422)
    call = calls.register(
        Registration(
            body.uuid or uuid4(),
            caller=body.caller,
            callee=body.callee,
            language=body.language,
            metadata=body.metadata,
        ),
        user=user,
    )
    return Status(201, _out(call))


@router.get("/{uuid}", response={200: CallOut, **ERRORS}, summary="A call")
def read_call(request: HttpRequest, uuid: UUID) -> CallOut:
    return _out(calls.for_caller(uuid, user=callers.of(request).user))


@router.get("/{uuid}/next", summary="Where the dialplan goes on", response=None)
def next_of_call(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """`context,extension,priority` as plain text, for `CURL()`; empty when the call is
    simply over."""
    call = calls.for_caller(uuid, user=callers.of(request).user)
    return HttpResponse(call.transfer_to, content_type="text/plain; charset=utf-8")


@router.post(
    "/{uuid}/transfer", response={200: CallOut, **ERRORS}, summary="Hand it over"
)
def transfer_call(request: HttpRequest, uuid: UUID, body: Target) -> CallOut:
    """The line is hung up, and the dialplan asks `next` where to go on."""
    user = callers.of(request).user
    calls.for_caller(uuid, user=user)
    calls.ask_transfer(uuid, to=body.to)
    return _out(calls.for_caller(uuid, user=user))


def _out(call: calls.Call) -> CallOut:
    return CallOut(
        uuid=str(call.uuid),
        session=str(call.session.public_id) if call.session else None,
        transfer_to=call.transfer_to,
        ended=call.ended_at is not None,
    )
