"""The page of a session that is over: what it tells its scripts, and how it is drawn.

Whoever calls has made sure that the reader may open the session. Decides nothing but
which controls are drawn: the API looks at each change itself.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.utils import timezone

from sessions import access, csp, recordings
from sessions.audio.frames import SAMPLES_PER_MS
from sessions.models import Participant, Recording, State, Tier, VoiceSession
from sessions.storage import StorageError, storage

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

TRANSCRIPTS = (
    ("md", "Minutes"),
    ("txt", "Plain text"),
    ("srt", "Subtitles"),
    ("vtt", "Web subtitles"),
    ("csv", "Table"),
    ("json", "With word times"),
    ("jsonl", "With word times, a line each"),
    ("labels", "Audacity labels"),
)
SOUNDS = (
    ("mp3", "Each voice, MP3"),
    ("flac", "Each voice, FLAC"),
    ("wav", "Each voice, WAV"),
)
OVER = (State.READY, State.FAILED)


@dataclass(frozen=True, slots=True)
class Rights:
    """Which controls a reader is shown."""

    may_edit: bool = False
    may_share: bool = False


@dataclass(frozen=True, slots=True)
class Voice:
    """Somebody who took part."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A file of sound at its place; of `participant` "" for what holds everybody."""

    url: str
    start_ms: int
    duration_ms: int
    participant: str = ""


@dataclass(frozen=True, slots=True)
class Export:
    """A line of the exports menu."""

    url: str
    label: str
    suffix: str


@dataclass(frozen=True, slots=True)
class FinishedConfig:
    """Read by `player/page.js`. Times are ISO 8601; positions count from time zero."""

    id: str
    state: str
    started_at: str
    duration_ms: int
    sound: str  # there, coming, gone, or never
    token: str
    csrf: str
    page_url: str
    api_url: str
    may_edit: bool
    may_share: bool
    read_only: bool
    nonce: str
    voices: list[Voice] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    master: Piece | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def is_over(session: VoiceSession) -> bool:
    """Whether nothing will be said in it any more."""
    is_ending = session.state == State.FINISHING and session.ended_at is not None
    return session.state in OVER or is_ending


def rights_of(
    session: VoiceSession,
    user: AbstractBaseUser | AnonymousUser,
    *,
    read_only: bool = False,
) -> Rights:
    """What a reader is shown to change: nothing, unless they are known by sign-in."""
    if read_only or not access.may_manage(session, user):
        return Rights()
    return Rights(may_edit=True, may_share=True)


def page(
    request: HttpRequest,
    session: VoiceSession,
    *,
    token: str,
    page_url: str = "",
    api_url: str = "",
    read_only: bool = False,
) -> HttpResponse:
    """The page for a reader. `token`: what the API is asked with where no sign-in
    opens it. `api_url`: where another address than the session's own serves it."""
    rights = rights_of(session, request.user, read_only=read_only)
    api_url = api_url or f"/api/sessions/{session.public_id}"
    files = _files(session)
    config = FinishedConfig(
        id=str(session.public_id),
        state=session.state,
        started_at=session.started_at.isoformat() if session.started_at else "",
        duration_ms=length_of(session, files) // SAMPLES_PER_MS,
        sound=_sound(session, files),
        token=token,
        csrf=get_token(request),
        page_url=page_url,
        api_url=api_url,
        may_edit=rights.may_edit,
        may_share=rights.may_share,
        read_only=read_only,
        nonce=secrets.token_urlsafe(16),
        voices=_voices(session),
        pieces=[_piece(row, api_url, token) for row in files if row.participant],
        master=next(
            (_piece(r, api_url, token) for r in files if r.tier == Tier.MASTER), None
        ),
    )
    return _drawn(request, session, config, media=_origin_of(files))


def _drawn(
    request: HttpRequest, session: VoiceSession, config: FinishedConfig, *, media: str
) -> HttpResponse:
    response = render(request, "finished.html", context_of(session, config))
    response.headers["Content-Security-Policy"] = csp.policy(
        request.get_host(), style_nonce=config.nonce, media=media
    )
    # The token stands in the address: it goes to nobody else.
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def context_of(session: VoiceSession, config: FinishedConfig) -> dict[str, Any]:
    """What the template draws."""
    has_tracks = config.sound == "there"
    return {
        "session": session,
        "config": config,
        "config_json": config.to_json(),
        "transcripts": [
            Export(_address(config, f"transcript.{s}"), label, s)
            for s, label in TRANSCRIPTS
        ],
        "sounds": [
            Export(_address(config, "tracks.zip", format=s), label, "zip")
            for s, label in (SOUNDS if has_tracks and not config.read_only else ())
        ],
        "master_url": _address(config, "download") if config.master else "",
    }


def length_of(session: VoiceSession, files: list[Recording]) -> int:
    """From time zero to the end of it, in samples at 48 kHz."""
    lasted = 0
    if session.started_at is not None:
        end = session.ended_at or timezone.now()
        lasted = round((end - session.started_at).total_seconds() * 1000)
    return max([lasted * SAMPLES_PER_MS, *(row.end for row in files)])


def _files(session: VoiceSession) -> list[Recording]:
    """What storage has of its sound: the fragments and the master."""
    rows = recordings.of_tiers(session.pk, (Tier.FRAGMENT, Tier.MASTER))
    return [row for row in rows if row.state == Recording.State.STORED]


def _sound(session: VoiceSession, files: list[Recording]) -> str:
    if not session.record:
        return "never"
    if files and session.state != State.FINISHING:
        return "there"
    return "gone" if session.state in OVER else "coming"


def _voices(session: VoiceSession) -> list[Voice]:
    people = Participant.objects.filter(session=session, merged_into=None)
    return [Voice(str(p.public_id), p.name) for p in people if not p.is_erased]


def _piece(row: Recording, api_url: str, token: str) -> Piece:
    query = {"recording": row.pk} | ({"token": token} if token else {})
    return Piece(
        url=f"{api_url}/download?{urlencode(query)}",
        start_ms=row.start // SAMPLES_PER_MS,
        duration_ms=row.duration // SAMPLES_PER_MS,
        participant=str(row.participant.shown.public_id) if row.participant else "",
    )


def _address(config: FinishedConfig, name: str, **query: str) -> str:
    if config.token:
        query["token"] = config.token
    return f"{config.api_url}/{name}" + (f"?{urlencode(query)}" if query else "")


def _origin_of(files: list[Recording]) -> str:
    """Where the sound comes from, if not from here: a bucket has a host of its own."""
    if not files:
        return ""
    try:
        link = urlsplit(storage().link(files[0].key, expires_s=60))
    except StorageError:
        return ""  # then it cannot be heard just now, and the page says so
    return f"{link.scheme}://{link.netloc}" if link.netloc else ""
