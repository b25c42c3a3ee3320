"""The waveforms' HTTP API: a recording's peaks, in the formats that players read."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema

from sessions import access, recordings
from sessions.audio.peaks import as_dat, as_json
from sessions.callers import identify
from sessions.errors import VoiceError

router = Router(tags=["recordings"], auth=identify)

JSON, DAT = "application/json", "application/octet-stream"


class Error(Schema):
    code: str
    message: str


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
    caller = request.auth  # type: ignore[attr-defined]
    session = access.session_for(public_id, user=caller.user, token=caller.token)
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
