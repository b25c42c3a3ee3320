"""The recordings' HTTP API: what there is, and links to it."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from ninja import Router, Schema

from sessions import access, finish, mixing, recordings
from sessions.audio.frames import SAMPLES_PER_MS
from sessions.callers import identify
from sessions.errors import VoiceError
from sessions.models import Recording, State, Tier, VoiceSession
from sessions.storage import storage

router = Router(tags=["recordings"], auth=identify)

AUDIO = "audio/mpeg"


class Error(Schema):
    code: str
    message: str


class RecordingOut(Schema):
    id: int
    tier: str
    participant: str | None
    name: str | None
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
        participant=str(person.public_id) if person else None,
        name=person.name if person else None,
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
    session = _session(request, public_id)
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
    session = _session(request, public_id)
    row = recordings.to_download(session.pk, recording)
    if row is not None and storage().stat(row.key) is not None:
        return HttpResponseRedirect(_link(row))
    if recording is not None:
        raise VoiceError("not_found", "There is no such recording.", status=404)
    return _not_yet(session)


def _link(row: Recording) -> str:
    name = row.key.rsplit("/", 1)[-1]
    expires_s = settings.DOWNLOAD_LINK_S
    return storage().link(
        row.key, expires_s=expires_s, filename=name, content_type=AUDIO
    )


def _not_yet(session: VoiceSession) -> HttpResponse:
    if session.state in (State.READY, State.FAILED):
        if not recordings.of_tier(session.pk, Tier.FRAGMENT):
            message = "Nothing was recorded in this session."
            raise VoiceError("not_recorded", message, status=404)
        recordings.replace_master(session.pk)
        mixing.ring(session.pk)
    elif session.state == State.FINISHING:
        finish.ring(session.pk)
    message = "The recording is being made. Ask again in a few seconds."
    return JsonResponse({"code": "not_yet", "message": message}, status=202)


def _session(request: HttpRequest, public_id: str) -> VoiceSession:
    caller = request.auth  # type: ignore[attr-defined]
    return access.session_for(public_id, user=caller.user, token=caller.token)
