"""What an utterance looks like to people: the event they follow, the line they keep.

Positions become milliseconds here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sessions.audio.frames import SAMPLES_PER_MS
from transcripts.exports import Line, LineWord

if TYPE_CHECKING:
    from transcripts.claims import Claim
    from transcripts.models import Utterance
    from transcripts.recognised import Recognised, Word

_FIELDS = ("word", "start_ms", "end_ms", "probability")


def timed(claim: Claim, words: tuple[Word, ...]) -> list[list[Any]]:
    """The words as the table keeps them, on the session's timeline.

    Never before the voice was heard: models put a first word at the sound's beginning,
    which is the pre-roll.
    """
    zero_ms = claim.audio_start_ms

    def at(seconds: float) -> int:
        return max(claim.start_ms, zero_ms + round(seconds * 1000))

    return [
        [word.text, at(word.start_s), at(word.end_s), word.probability]
        for word in words
    ]


def event(
    claim: Claim, recognised: Recognised, *, words: list[list[Any]]
) -> dict[str, Any]:
    """The data of an `utterance` event."""
    return {
        "id": str(claim.public_id),
        "participant": str(claim.participant_public_id),
        "name": claim.name,
        "start_ms": claim.start_ms,
        "end_ms": claim.end_ms,
        "text": recognised.text,
        "words": [dict(zip(_FIELDS, word, strict=True)) for word in words],
        "language": recognised.language,
        "confidence": recognised.confidence,
    }


def event_of(row: Utterance) -> dict[str, Any]:
    """The data of an `utterance` event, of a row that has its text."""
    return {
        "id": str(row.public_id),
        "participant": str(row.participant.public_id),
        "name": row.participant.name,
        "start_ms": row.start // SAMPLES_PER_MS,
        "end_ms": row.end // SAMPLES_PER_MS,
        "text": row.text,
        "words": [dict(zip(_FIELDS, word, strict=True)) for word in row.words],
        "language": row.language,
        "confidence": row.confidence,
    }


def line(row: Utterance) -> Line:
    """A row with its participant, as exports take it."""
    return Line(
        id=str(row.public_id),
        participant=str(row.participant.public_id),
        speaker=row.participant.name,
        start_ms=row.start // SAMPLES_PER_MS,
        end_ms=row.end // SAMPLES_PER_MS,
        text=row.text,
        words=tuple(LineWord(*word) for word in row.words),
        language=row.language,
        confidence=row.confidence,
    )
