"""GET …/transcript.{txt,srt,vtt,json,jsonl,csv,labels,md}: what was said, as a file."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema

from sessions import access
from sessions.callers import identify
from sessions.errors import VoiceError
from sessions.models import VoiceSession
from transcripts import exports, minutes, sounded, utterances
from transcripts.exports import Line

router = Router(tags=["transcripts"], auth=identify)

MINUTES = "md"


class Error(Schema):
    code: str
    message: str


class LineTone(Schema):
    """How a line sounded; `mock` where no classifier listened."""

    id: str
    label: str
    mock: bool


class Tones(Schema):
    lines: list[LineTone]


@router.get(
    "/{public_id}/tones",
    response={200: Tones, 401: Error, 403: Error, 404: Error},
    summary="How each line sounded, where a classifier listened",
)
def read_tones(request: HttpRequest, public_id: str) -> Tones:
    """Of every line the label that weighs most while it was said."""
    caller = request.auth  # type: ignore[attr-defined]
    session = access.session_for(public_id, user=caller.user, token=caller.token)
    found = sounded.of_session(session.pk)
    return Tones(
        lines=[LineTone(id=one.line, label=one.label, mock=one.mock) for one in found]
    )


@router.get(
    "/{public_id}/transcript.{suffix}",
    response={401: Error, 403: Error, 404: Error},
    summary="Transcript as txt, srt, vtt, json, jsonl, csv, labels or md",
)
def read_transcript(
    request: HttpRequest, public_id: str, suffix: str, *, download: bool = False
) -> HttpResponse:
    """What has its text so far, in the order it was said."""
    caller = request.auth  # type: ignore[attr-defined]
    session = access.session_for(public_id, user=caller.user, token=caller.token)
    content_type, text = _written(session, suffix)
    response = HttpResponse(text, content_type=content_type)
    if download:
        name = f"transcript-{session.public_id}.{suffix}"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _written(session: VoiceSession, suffix: str) -> tuple[str, str]:
    """What it is, and the file itself. Raises VoiceError for a kind there is not."""
    if suffix == MINUTES:
        lines = utterances.of_session(session.pk)
        return minutes.CONTENT_TYPE, minutes.write(_minutes(session, lines))
    if (chosen := exports.FORMATS.get(suffix)) is None:
        known = ", ".join([*exports.FORMATS, MINUTES])
        message = f"A transcript comes as {known}, not as {suffix[:20]!r}."
        raise VoiceError("not_found", message, status=404)
    return chosen.content_type, chosen.write(utterances.of_session(session.pk))


def _minutes(session: VoiceSession, lines: list[Line]) -> minutes.Minutes:
    lasted_ms = max((line.end_ms for line in lines), default=0)
    if session.started_at is not None and session.ended_at is not None:
        lasted = session.ended_at - session.started_at
        lasted_ms = max(lasted_ms, round(lasted.total_seconds() * 1000))
    return minutes.Minutes(
        title=session.title,
        started_at=session.started_at,
        duration_ms=lasted_ms,
        lines=lines,
    )
