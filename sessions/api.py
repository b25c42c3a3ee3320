"""The sessions' HTTP API: parse, ask who it is, call one service, answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from channels.db import database_sync_to_async
from django.http import HttpRequest, StreamingHttpResponse
from ninja import Router, Schema, Status
from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from sessions import (
    access,
    addresses,
    audit,
    callers,
    finish,
    names,
    opening,
    queries,
    recordings,
    rights,
    wire,
)
from sessions.background import spawn
from sessions.callers import identify, identify_async, opened_for
from sessions.capture.registry import registry
from sessions.crowd import crowd
from sessions.errors import SessionEndedError, VoiceError
from sessions.feed import feed
from sessions.models import Participant, Source, State, VoiceSession
from sessions.readers import readers
from sessions.speech import speech_state

router = Router(tags=["sessions"], auth=identify)

KEEP_ALIVE_S = 15.0
"""A comment this often keeps proxies from closing a quiet event stream."""


class Error(Schema):
    code: str
    message: str


def _visible(title: str) -> str:
    return names.clean(title, longest=200)


class NewSession(BaseModel):  # not a Schema: that takes any list for one
    title: Annotated[
        str, StringConstraints(max_length=200), AfterValidator(_visible)
    ] = ""
    # ISO 639-1, as the speech model names languages; empty: detect.
    language: Annotated[str, StringConstraints(pattern=r"^([a-z]{2,3})?$")] = ""
    record: bool = True


class CreatedSession(Schema):
    id: str
    state: str
    page_url: str
    audio_url: str
    live_url: str
    events_url: str
    token: str


class ParticipantOut(Schema):
    id: str
    name: str
    present: bool
    merged_into: str | None


class SessionOut(Schema):
    id: str
    source: str
    title: str
    language: str
    record: bool
    state: str
    started_at: datetime | None
    ended_at: datetime | None
    end_reason: str
    last_seq: int


class SessionDetail(SessionOut):
    participants: list[ParticipantOut]
    speech: dict[str, Any]
    waiting_for_storage: bool
    page_url: str
    audio_url: str
    live_url: str
    events_url: str


class SessionPage(Schema):
    items: list[SessionOut]
    count: int


class Ended(Schema):
    id: str
    state: str


ERRORS = {401: Error, 403: Error, 404: Error, 409: Error, 422: Error}


def _session(request: HttpRequest, public_id: str) -> VoiceSession:
    caller = callers.of(request)
    return access.session_for(public_id, user=caller.user, token=caller.token)


def _session_to_end(request: HttpRequest, public_id: str) -> VoiceSession:
    caller = callers.of(request)
    return access.session_to_manage(public_id, user=caller.user, token=caller.token)


def _summary(session: VoiceSession) -> dict[str, Any]:
    state = session.state
    if state == State.ACTIVE and not session.is_open:
        state = "stopping"
    return {
        "id": str(session.public_id),
        "source": session.source,
        "title": session.title,
        "language": session.language,
        "record": session.record,
        "state": state,
        "started_at": session.started_at,
        "ended_at": session.ended_at,
        "end_reason": session.end_reason,
        "last_seq": session.last_seq,
    }


@router.post("", response={201: CreatedSession, **ERRORS}, summary="Open a session")
def create_session(request: HttpRequest, body: NewSession) -> Status[dict[str, Any]]:
    user = callers.of(request).user
    if user is None:
        message = "Opening a session needs a sign-in or an API token."
        raise VoiceError("sign_in", message, status=401)
    made = opening.open_browser_session(
        owner=user, title=body.title, language=body.language, record=body.record
    )
    found = addresses.of(made.session, base=request)
    answer = {
        "id": str(made.session.public_id),
        "state": made.session.state,
        "token": made.token,
    }
    return Status(201, answer | found)


@router.get("", response={200: SessionPage, **ERRORS}, summary="List sessions")
def list_sessions(
    request: HttpRequest,
    state: State | None = None,
    source: Source | None = None,
    page: Annotated[int, Field(ge=1, le=1_000_000)] = 1,
    page_size: Annotated[int, Field(ge=1, le=200)] = 50,
) -> dict[str, Any]:
    user = callers.of(request).user
    if user is None:
        message = "The list needs a sign-in or an API token."
        raise VoiceError("sign_in", message, status=401)
    rows = queries.visible_to(user)
    if state:
        rows = rows.filter(state=state)
    if source:
        rows = rows.filter(source=source)
    start = (page - 1) * page_size
    items = [_summary(row) for row in rows[start : start + page_size]]
    return {"items": items, "count": rows.count()}


@router.get("/{public_id}", response={200: SessionDetail, **ERRORS}, summary="Liveness")
def read_session(request: HttpRequest, public_id: str) -> dict[str, Any]:
    """200 while the session lives or is stored, 404 otherwise."""
    session = _session(request, public_id)
    everybody = session.participants.select_related("merged_into")
    people = [_person(one) for one in everybody]
    found = addresses.of(session, base=request)
    more = {
        "participants": people,
        "speech": speech_state(session.pk),
        "waiting_for_storage": recordings.is_waiting(session.pk),
    }
    return _summary(session) | more | found


def _person(person: Participant) -> dict[str, Any]:
    shown = person.shown
    return {
        "id": str(person.public_id),
        "name": shown.name,
        "present": person.is_present,
        "merged_into": None if shown is person else str(shown.public_id),
    }


@router.post(
    "/{public_id}/end",
    response={200: Ended, **ERRORS},
    auth=identify_async,
    summary="End it",
)
async def end_session(request: HttpRequest, public_id: str) -> dict[str, Any]:
    """Ends the session for everybody; what was said last is still written down. For
    its owner, who manages its Discord server, and moderators."""
    session = await database_sync_to_async(_session_to_end)(request, public_id)
    if not session.is_open:
        raise SessionEndedError
    # Goes on when the caller hangs up in the middle of it.
    if not await asyncio.shield(spawn(_end(session.pk), name="session.end")):
        raise SessionEndedError
    await session.arefresh_from_db()
    return {"id": str(session.public_id), "state": session.state}


async def _end(session_id: int) -> bool:
    try:
        return await finish.end(session_id, reason="requested")
    except ExceptionGroup:
        return True  # some steps failed and are in the log; the session is marked


@router.get("/{public_id}/events", auth=identify_async, summary="The live feed (SSE)")
async def stream_events(
    request: HttpRequest, public_id: str, after: str = ""
) -> StreamingHttpResponse:
    """The event log as server-sent events, from `Last-Event-ID` or `after` on."""
    last = request.headers.get("Last-Event-ID", "") or after or "0"
    try:
        cursor = wire.sequence(last)
    except VoiceError:
        cursor = 0  # an id that is none of ours: everything, rather than nothing
    session = await database_sync_to_async(opened_for)(request, public_id)
    address = audit.address_of(request)
    crowd.check(address)
    caller = callers.of(request)
    until_ended = partial(
        rights.until_ended,
        session.public_id,
        user=caller.user,
        token=caller.token,
        api_token=callers.api_token_of(request),
    )
    return StreamingHttpResponse(
        _server_sent(session.pk, cursor, address, until_ended),
        content_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _server_sent(
    session_id: int,
    after: int,
    address: str,
    until_ended: Callable[[], Coroutine[Any, Any, None]],
) -> AsyncIterator[str]:
    """For as long as `until_ended` does not come back: then they may not read on."""
    viewing = registry().viewing(session_id)
    with crowd.inside(address), viewing, readers().reading(session_id):
        over = spawn(until_ended(), name="sse.rights")
        try:
            yield "retry: 1000\n\n"
            async with contextlib.aclosing(_lines(session_id, after, over)) as lines:
                async for line in lines:
                    yield line
        finally:
            over.cancel()


async def _lines(
    session_id: int, after: int, over: asyncio.Task[None]
) -> AsyncGenerator[str, None]:
    """The feed as lines of an event stream, with a comment where it is quiet."""
    stream = feed().follow(session_id, after=after)
    async with contextlib.aclosing(stream):
        coming = asyncio.ensure_future(anext(stream))
        try:
            while True:
                done, _ = await asyncio.wait(
                    [coming, over],
                    timeout=KEEP_ALIVE_S,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if over in done:
                    return
                if not done:
                    yield ": keep-alive\n\n"
                    continue
                event = coming.result()
                id_line = f"id: {event.seq}\n" if event.seq else ""
                yield f"{id_line}data: {json.dumps(event.to_json())}\n\n"
                coming = asyncio.ensure_future(anext(stream))
        finally:
            coming.cancel()
            await asyncio.wait([coming])
