"""Provisional text: asked for and answered through the live cache, never the database.

Shed first: nothing here may delay an utterance's final text, and losing any of it costs
grey words on a screen.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from sessions import flashes
from sessions.audio.frames import SAMPLES_PER_MS
from sessions.livecache import live
from transcripts import doorbell
from transcripts.claims import Claim
from transcripts.recognised import Recognised
from transcripts.stt import AUDIO_RATE

log = structlog.get_logger(__name__)

TTL_S = 10
# Words older than this are no news to anybody.
STALE_S = 4.0
# Answers outlive the longest utterance, so that revisions keep rising.
_MEMORY_S = 60
_SHED_KEY = "partial:shed"


@dataclass(frozen=True, slots=True)
class PartialRequest:
    """What somebody has said so far, and in which revision of that utterance.

    Positions are samples at 48 kHz since time zero; `audio` is 16-bit little-endian
    mono PCM at 16 kHz from `audio_start`. `rev` rises within an utterance.
    """

    session_id: int
    participant_id: int
    participant_public_id: UUID
    name: str
    utterance_id: UUID
    rev: int
    start: int
    audio_start: int
    audio: bytes

    @property
    def end_ms(self) -> int:
        return (
            self.audio_start // SAMPLES_PER_MS
            + len(self.audio) // 2 * 1000 // AUDIO_RATE
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """The newest revision that was answered, or shed: then `text` is the one before."""

    utterance_id: UUID
    rev: int
    text: str = ""
    language: str = ""


def offer(request: PartialRequest, *, now: float | None = None) -> None:
    """Ask for the words so far; replaces what was asked before. Never raises."""
    asked_at = time.time() if now is None else now
    if _put(_ask_key(request.participant_id), (request, asked_at), TTL_S):
        doorbell.ring(doorbell.PARTIAL, request.participant_id)


def take(participant_id: int, *, now: float | None = None) -> PartialRequest | None:
    """What is asked for and not yet answered; None too when it has become stale."""
    found = _get(_ask_key(participant_id))
    if found is None:
        return None
    request, asked_at = found
    if answered(participant_id) >= request.rev:
        return None
    if (time.time() if now is None else now) - asked_at > STALE_S:
        shed(request)
        return None
    return _as_request(request)


def show(request: PartialRequest, recognised: Recognised) -> bool:
    """Show the words, unless the utterance ended meanwhile; says whether it did."""
    before = _answer_for(request)
    answer = Answer(
        utterance_id=request.utterance_id,
        rev=request.rev,
        text=recognised.text,
        language=recognised.language,
    )
    _put(_answer_key(request.participant_id), answer, _MEMORY_S)
    if not recognised.text or not _still_asked(request):
        return False
    stable = steady_chars(before.text if before else "", recognised.text)
    _flash(request, text=recognised.text, rev=request.rev, stable=stable)
    return True


def shed(request: PartialRequest) -> None:
    """Count a revision that will not be written down."""
    before = _answer_for(request)
    answer = Answer(
        utterance_id=request.utterance_id,
        rev=request.rev,
        text=before.text if before else "",
        language=before.language if before else "",
    )
    _put(_answer_key(request.participant_id), answer, _MEMORY_S)
    _put(_SHED_KEY, shed_count() + 1, None)  # about right is right enough


def answered(participant_id: int) -> int:
    """The newest revision of the utterance asked about that was answered or shed."""
    found = _get(_ask_key(participant_id))
    answer = _answer_for(found[0]) if found is not None else None
    return answer.rev if answer else 0


def detected_language(request: PartialRequest) -> str:
    """As detected in an earlier revision of this utterance, or empty."""
    before = _answer_for(request)
    return before.language if before else ""


def withdraw(session_id: int, participant_id: int) -> None:
    """The utterance has ended: what is still being worked on is not shown any more."""
    try:
        live().delete(_ask_key(participant_id))
    except Exception:
        # It runs out by itself; viewers ignore what comes after the final line.
        log.warning("partial.failed", session=session_id, exc_info=True)


def clear(claim: Claim) -> None:
    """Take grey words back that no final line will replace: nothing was said."""
    answer: Answer | None = _get(_answer_key(claim.participant_id))
    if answer is None or answer.utterance_id != claim.public_id or not answer.text:
        return
    data = {
        "id": str(claim.public_id),
        "rev": answer.rev + 1,
        "participant": str(claim.participant_public_id),
        "name": claim.name,
        "start_ms": claim.start_ms,
        "end_ms": claim.end_ms,
        "text": "",
        "stable": 0,
    }
    flashes.show(claim.session_id, _flash_key(claim.participant_id), "partial", data)


def shed_count() -> int:
    """How many revisions were shed since the live cache was emptied."""
    return int(_get(_SHED_KEY) or 0)


def steady_chars(before: str, after: str) -> int:
    """How many leading characters of `after` also stood before: whole words only."""
    steady = 0
    old, new = before.split(" "), after.split(" ")
    for count, (a, b) in enumerate(zip(old, new, strict=False), start=1):
        if a != b:
            break
        steady = len(" ".join(new[:count]))
    return steady


def _flash(request: PartialRequest, *, text: str, rev: int, stable: int) -> None:
    data = {
        "id": str(request.utterance_id),
        "rev": rev,
        "participant": str(request.participant_public_id),
        "name": request.name,
        "start_ms": request.start // SAMPLES_PER_MS,
        "end_ms": request.end_ms,
        "text": text,
        "stable": stable,
    }
    key = _flash_key(request.participant_id)
    flashes.show(request.session_id, key, "partial", data)


def _still_asked(request: PartialRequest) -> bool:
    found = _get(_ask_key(request.participant_id))
    return found is not None and found[0].utterance_id == request.utterance_id


def _answer_for(request: PartialRequest) -> Answer | None:
    answer: Answer | None = _get(_answer_key(request.participant_id))
    if answer is None or answer.utterance_id != request.utterance_id:
        return None
    return answer


def _as_request(found: Any) -> PartialRequest:
    assert isinstance(found, PartialRequest)
    return found


def _flash_key(participant_id: int) -> str:
    return f"partial:{participant_id}"


def _ask_key(participant_id: int) -> str:
    return f"partial:ask:{participant_id}"


def _answer_key(participant_id: int) -> str:
    return f"partial:answer:{participant_id}"


def _put(key: str, value: object, ttl_s: int | None) -> bool:
    try:
        live().set(key, value, ttl_s)
    except Exception:
        # A full disk or an absent Redis costs grey text, never a line.
        log.warning("partial.failed", exc_info=True)
        return False
    return True


def _get(key: str) -> Any:
    try:
        return live().get(key)
    except Exception:
        log.warning("partial.unreadable", exc_info=True)  # as above
        return None
