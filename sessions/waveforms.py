"""The waveforms' HTTP API: a recording's peaks, in the formats that players read."""

from __future__ import annotations

from typing import Annotated

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema
from pydantic import Field

from sessions import callers, finished, overview, recordings
from sessions.audio.frames import SAMPLES_PER_MS
from sessions.audio.peaks import as_dat, as_json
from sessions.audit import Kind
from sessions.callers import identify
from sessions.errors import VoiceError
from sessions.models import Tier

router = Router(tags=["recordings"], auth=identify)

JSON, DAT = "application/json", "application/octet-stream"


class Error(Schema):
    code: str
    message: str


class Lane(Schema):
    participant: str
    points: list[int]


class Lanes(Schema):
    """`points` lie side by side from 0 to `duration_ms`: 0 is silence, 127 is loud."""

    duration_ms: int
    lanes: list[Lane]


@router.get(
    "/{public_id}/waveforms",
    response={200: Lanes, 401: Error, 403: Error, 404: Error, 422: Error},
    summary="The waveforms of everybody, on one timeline",
)
def read_waveforms(
    request: HttpRequest,
    public_id: str,
    points: Annotated[int, Field(ge=1, le=20_000)] = 2_000,
) -> Lanes:
    """Few enough points to draw hours at once, from what was metered on the way."""
    session = callers.reading(request, public_id).session
    files = recordings.of_tiers(session.pk, (Tier.FRAGMENT, Tier.MASTER))
    length = finished.length_of(session, files)
    found = overview.of_session(session, length=length, points=points)
    return Lanes(
        duration_ms=length // SAMPLES_PER_MS,
        lanes=[
            Lane(participant=str(one.participant), points=one.points.tolist())
            for one in found
        ],
    )


@router.get(
    "/{public_id}/recordings/{recording}/peaks.{suffix}",
    response={200: None, 401: Error, 403: Error, 404: Error},
    summary="The waveform of a chunk or fragment: json or dat",
    openapi_extra={"responses": {200: {"content": {JSON: {}, DAT: {}}}}},
)
def download_peaks(
    request: HttpRequest, public_id: str, recording: int, suffix: str
) -> HttpResponse:
    """audiowaveform's formats, version 2: the least and the greatest sample of each
    50 ms of the session that ends in the recording. Chunks have theirs as soon as they
    are sealed, while the session runs."""
    session = callers.reading(request, public_id, kind=Kind.AUDIO).session
    if suffix not in ("json", "dat"):
        raise VoiceError("unknown_format", "The formats are json, dat.", status=404)
    found = recordings.waveform(session.pk, recording)
    if found is None:
        message = "There is no such recording, or it has no waveform."
        raise VoiceError("not_found", message, status=404)
    if suffix == "json":
        answer = HttpResponse(as_json(found.peaks), content_type=JSON)
    else:
        answer = HttpResponse(as_dat(found.peaks), content_type=DAT)
    answer["Cache-Control"] = "private, no-store"
    return answer
