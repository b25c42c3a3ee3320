"""What was said, over HTTP: GET …/transcript.{txt,srt,vtt,json,jsonl,csv,labels,md},
and corrections of its lines."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema

from sessions import callers
from sessions.access import Reading
from sessions.audit import Kind
from sessions.callers import identify
from sessions.errors import VoiceError
from transcripts import (
    corrections,
    exports,
    minutes,
    minutetaking,
    sounded,
    utterances,
)
from transcripts.corrections import Corrected, Version

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
    session = callers.reading(request, public_id).session
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
    opened = callers.reading(request, public_id, kind=Kind.TRANSCRIPT)
    content_type, text = _written(opened, suffix)
    response = HttpResponse(text, content_type=content_type)
    if download:
        name = f"transcript-{opened.session.public_id}.{suffix}"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _written(opened: Reading, suffix: str) -> tuple[str, str]:
    """What it is, and the file itself. Raises VoiceError for a kind there is not."""
    lines = utterances.of_session(opened.session.pk)
    if opened.is_shared:  # what somebody corrected away is not for guests
        lines = [replace(line, original=None) for line in lines]
    if suffix == MINUTES:
        made = minutetaking.of_session(opened.session, lines)
        if opened.is_shared:  # nor are notes, or who took them
            made = replace(made, notes=[])
        return minutes.CONTENT_TYPE, minutes.write(made)
    if (chosen := exports.FORMATS.get(suffix)) is None:
        known = ", ".join([*exports.FORMATS, MINUTES])
        message = f"A transcript comes as {known}, not as {suffix[:20]!r}."
        raise VoiceError("not_found", message, status=404)
    return chosen.content_type, chosen.write(lines)


class NewText(Schema):
    text: str


class CorrectedOut(Schema):
    id: UUID
    text: str
    original: str | None
    corrected_by: str | None
    corrected_at: datetime | None


class VersionOut(Schema):
    text: str
    by: str | None
    at: datetime


ERRORS = {401: Error, 403: Error, 404: Error, 422: Error}


@router.patch(
    "/{public_id}/utterances/{utterance}",
    response={200: CorrectedOut, **ERRORS},
    summary="Correct a line",
)
def correct(
    request: HttpRequest, public_id: str, utterance: str, body: NewText
) -> Corrected:
    """The text as it was heard takes a correction back."""
    session, user = callers.managing(request, public_id)
    return corrections.correct(session, utterance, body.text, by=user)


@router.get(
    "/{public_id}/utterances/{utterance}/history",
    response={200: list[VersionOut], **ERRORS},
    summary="All texts of a line",
)
def read_history(request: HttpRequest, public_id: str, utterance: str) -> list[Version]:
    """Oldest first: the first is the model's own, by nobody."""
    session = callers.opened_for(request, public_id, kind=Kind.TRANSCRIPT)
    return corrections.history(session, utterance)
