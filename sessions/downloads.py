"""The recordings' HTTP API: what there is, links to it, and each track on its own."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Annotated
from uuid import UUID

from channels.db import database_sync_to_async
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.http import StreamingHttpResponse as Streaming
from django.utils import timezone
from ninja import Query, Router, Schema
from pydantic import Field

from sessions import (
    archive,
    callers,
    finished,
    masters,
    originals,
    recordings,
    sounds,
    tracks,
)
from sessions.archive import About, Excerpt
from sessions.attachments import attachment
from sessions.audio.formats import FORMATS, LOSSLESS
from sessions.audio.frames import SAMPLES_PER_MS
from sessions.audit import Kind
from sessions.callers import identify, identify_async
from sessions.errors import VoiceError
from sessions.models import Recording, VoiceSession
from sessions.originals import Original
from sessions.sounds import Watch
from sessions.storage import StorageError
from sessions.tracks import Track

router = Router(tags=["recordings"], auth=identify)

LATEST_MS = 366 * 24 * 3_600_000
"""No session is longer; what asks for more has mistaken the unit."""

FAULTS = "X-Recording-Faults"
"""What is silent in a track because it is lost or damaged; not there if nothing is."""

Ms = Annotated[int, Field(ge=0, le=LATEST_MS)]


class Error(Schema):
    code: str
    message: str


class Window(Schema):
    """Which part of a track; all of it from the session's beginning by default, so that
    all tracks line up. `align=false`: from its own beginning."""

    start_ms: Ms = 0
    end_ms: Ms | None = None
    align: bool = True


class RecordingOut(Schema):
    id: int
    tier: str
    # As whom they are shown; `track` is the participant whose sound it is.
    participant: str | None
    name: str | None
    track: str | None
    state: str
    start_ms: int
    duration_ms: int
    bytes: int
    gaps_ms: list[list[int]]
    loudness_lufs: float | None
    error: str


def _shown(row: Recording) -> RecordingOut:
    person = row.participant
    return RecordingOut(
        id=row.pk,
        tier=row.tier,
        participant=str(person.shown.public_id) if person else None,
        name=person.shown.name if person else None,
        track=str(person.public_id) if person else None,
        state=row.state,
        start_ms=row.start // SAMPLES_PER_MS,
        duration_ms=row.duration // SAMPLES_PER_MS,
        bytes=row.size,
        gaps_ms=[[at // SAMPLES_PER_MS for at in gap] for gap in row.gaps],
        loudness_lufs=row.loudness_lufs,
        error=row.error,
    )


@router.get(
    "/{public_id}/recordings",
    response={200: list[RecordingOut], 401: Error, 403: Error, 404: Error},
    summary="The files of a session",
)
def list_recordings(request: HttpRequest, public_id: str) -> list[RecordingOut]:
    """Every chunk, fragment and master, with its place on the session's timeline."""
    session = callers.reading(request, public_id).session
    return [_shown(row) for row in recordings.of_session(session.pk)]


@router.get(
    "/{public_id}/download",
    response={202: Error, 302: None, 401: Error, 403: Error, 404: Error},
    summary="The master, or one of the recordings, by a link that expires",
)
def download(
    request: HttpRequest, public_id: str, *, recording: int | None = None
) -> HttpResponse:
    """A redirect to the file; 202 while there is none yet: then ask again soon."""
    opened = callers.reading(request, public_id, kind=Kind.AUDIO)
    session = opened.session
    if opened.is_shared:
        # A link to the storage would outlive the share.
        return HttpResponseRedirect(sounds.shared(callers.of(request).token, recording))
    if (link := masters.link_of(session, recording)) is not None:
        return HttpResponseRedirect(link)
    if recording is not None:
        raise VoiceError("not_found", "There is no such recording.", status=404)
    masters.want(session)
    message = "The recording is being made. Ask again in a few seconds."
    return JsonResponse({"code": "not_yet", "message": message}, status=202)


ERRORS = {401: Error, 403: Error, 404: Error, 422: Error, 503: Error}


@router.get(
    "/{public_id}/tracks/{participant}.{suffix}",
    response={200: None, **ERRORS},
    auth=identify_async,
    summary="One person's track, or a window of it: mp3, flac, wav or opus",
)
async def download_track(
    request: HttpRequest,
    public_id: str,
    participant: str,
    suffix: str,
    window: Query[Window],
) -> HttpResponse | Streaming:
    """Of a running session, too: what has been said until now."""
    excerpt, watch = await database_sync_to_async(_one)(
        request, public_id, participant, suffix, window
    )
    start, stop = excerpt.start, excerpt.stop
    kind = FORMATS[suffix]
    name = f"{archive.safe_name(excerpt.track.name)}.{suffix}"
    faults: list[str] = []
    pieces = _made(excerpt, suffix, faults)
    answer = await attachment(request, pieces, kind.content_type, name, watch=watch)
    if faults:
        answer[FAULTS] = " ".join(" ".join(faults).split())
    if answer.status_code == 200 and (size := kind.size(start, stop)) is not None:
        answer["Content-Length"] = str(size)
    return answer


@router.get(
    "/{public_id}/tracks.zip",
    response={200: None, **ERRORS},
    auth=identify_async,
    summary="All tracks in step, and a text that says who and when",
)
async def download_tracks(
    request: HttpRequest,
    public_id: str,
    window: Query[Window],
    format: str = "flac",  # noqa: A002 (its name in the address)
) -> HttpResponse | Streaming:
    """Made while it is sent: it begins at once, and its length is not known before."""
    about, excerpts = await database_sync_to_async(_all)(
        request, public_id, format, window
    )
    pieces = archive.zipped(about, excerpts, suffix=format)
    name = f"{archive.safe_name(about.title, otherwise='Session')} {format}.zip"
    return await attachment(request, pieces, "application/zip", name)


def _made(
    excerpt: Excerpt, suffix: str, faults: list[str]
) -> Generator[bytes, None, None]:
    start, stop = excerpt.start, excerpt.stop
    with tracks.opened(excerpt.track, start=start, stop=stop) as sound:
        faults += sound.faults
        yield from FORMATS[suffix].encode(sound.reader, start, stop)


def _one(
    request: HttpRequest, public_id: str, participant: str, suffix: str, window: Window
) -> tuple[Excerpt, Watch | None]:
    """What to send, and what to look at meanwhile if it is shared."""
    opened = callers.reading(request, public_id, kind=Kind.AUDIO)
    session = _recorded(opened.session, suffix)
    watch = Watch(callers.of(request).token) if opened.is_shared else None
    # All of a person's; of one who was merged into another, their own part.
    for found in (tracks.of_people, tracks.of_session):
        for one in found(session):
            if str(one.participant) == participant.lower():
                return _excerpt(session, one, window), watch
    if any(str(p.public_id) == participant for p in session.participants.all()):
        raise VoiceError("not_recorded", "They have not been heard yet.", status=404)
    raise VoiceError("not_found", "There is no such participant.", status=404)


def _all(
    request: HttpRequest, public_id: str, suffix: str, window: Window
) -> tuple[About, list[Excerpt]]:
    opened = callers.opened_for(request, public_id, kind=Kind.AUDIO)
    session = _recorded(opened, suffix)
    found = tracks.of_people(session)
    if not found:
        message = "Nobody has been heard in this session."
        raise VoiceError("not_recorded", message, status=404)
    began, ended = session.started_at, session.ended_at
    assert began is not None
    about = About(str(session.public_id), session.title, began, ended)
    kept = _originals(session) if suffix in LOSSLESS else {}
    excerpts = [_excerpt(session, one, window) for one in found]
    return about, [
        replace(one, original=kept.get(one.track.participant)) for one in excerpts
    ]


def _originals(session: VoiceSession) -> dict[UUID, Original]:
    """What is kept as it arrived of a session that is over; while it runs, journals
    are still being written."""
    if not finished.is_over(session):
        return {}
    try:
        return originals.of_session(session)
    except StorageError:
        return {}  # told in the archive: it comes from what else there is


def _recorded(session: VoiceSession, suffix: str) -> VoiceSession:
    if suffix not in FORMATS:
        message = f"The formats are {', '.join(FORMATS)}."
        raise VoiceError("unknown_format", message, status=404)
    if not session.record or session.started_at is None:
        message = "Nothing is recorded in this session."
        raise VoiceError("not_recorded", message, status=404)
    return session


def _excerpt(session: VoiceSession, track: Track, window: Window) -> Excerpt:
    """The part that is asked for; a window may go on behind the track's end, in
    silence, up to where the session is."""
    assert session.started_at is not None
    now = session.ended_at or timezone.now()
    so_far = round((now - session.started_at).total_seconds() * 1000) * SAMPLES_PER_MS
    limit = max(track.end, so_far)
    start = window.start_ms * SAMPLES_PER_MS
    stop = limit if start >= track.end else track.end
    if window.end_ms is not None:
        stop = min(window.end_ms * SAMPLES_PER_MS, limit)
    if not window.align:
        start = max(start, min(track.start, stop - 1))
    if start >= stop:
        message = "The window is empty, or behind the end of the session."
        raise VoiceError("bad_window", message, status=422)
    return Excerpt(track, start, stop)
