"""GET …/transcript.{txt,srt,vtt,json,jsonl,csv,labels}: what was said, as a file."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema

from sessions import access
from sessions.callers import identify
from sessions.errors import VoiceError
from transcripts import exports, utterances

router = Router(tags=["transcripts"], auth=identify)


class Error(Schema):
    code: str
    message: str


@router.get(
    "/{public_id}/transcript.{suffix}",
    response={401: Error, 403: Error, 404: Error},
    summary="Transcript as txt, srt, vtt, json, jsonl, csv or labels",
)
def read_transcript(
    request: HttpRequest, public_id: str, suffix: str, *, download: bool = False
) -> HttpResponse:
    """What has its text so far, in the order it was said."""
    caller = request.auth  # type: ignore[attr-defined]
    session = access.session_for(public_id, user=caller.user, token=caller.token)
    if (chosen := exports.FORMATS.get(suffix)) is None:
        known = ", ".join(exports.FORMATS)
        message = f"A transcript comes as {known}, not as {suffix[:20]!r}."
        raise VoiceError("not_found", message, status=404)
    text = chosen.write(utterances.of_session(session.pk))
    response = HttpResponse(text, content_type=chosen.content_type)
    if download:
        name = f"transcript-{session.public_id}.{suffix}"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
