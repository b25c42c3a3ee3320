"""What an utterance looks like to people: the event they follow, the line they keep.

Positions become milliseconds here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sessions.audio.frames import SAMPLES_PER_MS
from sessions.optout import IN_THEIR_PLACE, Absent
from transcripts.alignment import retimed
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


def unrecorded(one: Absent) -> Line:
    """The line in the place of somebody of whom nothing is taken."""
    return Line(
        id=f"unrecorded-{one.participant}",
        participant=str(one.participant),
        speaker=one.name,
        start_ms=one.at_ms,
        end_ms=one.at_ms,
        text=IN_THEIR_PLACE,
    )


def line(row: Utterance, *, corrected: str | None = None) -> Line:
    """A row with its participant, as exports take it; `corrected` is what somebody made
    of its text."""
    start_ms, end_ms = row.start // SAMPLES_PER_MS, row.end // SAMPLES_PER_MS
    words = tuple(LineWord(*word) for word in row.words)
    if corrected is not None:
        words = retimed(words, corrected, start_ms=start_ms, end_ms=end_ms)
    person = row.participant.shown
    return Line(
        id=str(row.public_id),
        participant=str(person.public_id),
        speaker=person.name,
        start_ms=start_ms,
        end_ms=end_ms,
        text=row.text if corrected is None else corrected,
        words=words,
        language=row.language,
        confidence=row.confidence,
        original=None if corrected is None else row.text,
    )
