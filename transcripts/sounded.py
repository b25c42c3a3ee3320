"""How each line sounded, once it is over: the label that weighs most while it was said.

Reads the event log, where the classifier's labels are kept. Writes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sessions.audio.frames import SAMPLES_PER_MS
from sessions.models import SessionEvent
from transcripts.models import Utterance, UtteranceState

LONGEST_MS = 60_000
"""No label is heard over more than this."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One label of one person, in milliseconds since the session's time zero."""

    start_ms: int
    end_ms: int
    label: str
    confidence: float
    mock: bool = False


@dataclass(frozen=True, slots=True)
class Spoken:
    """A line, by its public id."""

    line: str
    participant: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Sounded:
    """A line and its label."""

    line: str
    label: str
    mock: bool


def of_session(session_id: int) -> list[Sounded]:
    """Lines that have a label, in the order they were said."""
    pieces: dict[str, list[Piece]] = defaultdict(list)
    rows = SessionEvent.objects.filter(session=session_id, type="tone")
    for data in rows.order_by("seq").values_list("data", flat=True).iterator():
        pieces[str(data["participant"])].append(
            Piece(
                data["start_ms"],
                data["end_ms"],
                data["label"],
                data["confidence"],
                mock=bool(data.get("mock")),
            )
        )
    return list(labelled(_spoken(session_id), pieces)) if pieces else []


def _spoken(session_id: int) -> Iterator[Spoken]:
    rows = Utterance.objects.filter(session=session_id, state=UtteranceState.DONE)
    columns = "public_id", "participant__public_id", "start", "end"
    for line, person, start, end in rows.order_by("start", "pk").values_list(*columns):
        yield Spoken(
            str(line), str(person), start // SAMPLES_PER_MS, end // SAMPLES_PER_MS
        )


def labelled(
    lines: Iterable[Spoken], pieces: dict[str, list[Piece]]
) -> Iterator[Sounded]:
    """Of lines by their start: each with the label that weighs most within it. Time
    grows with both, not with their product."""
    ordered = {
        who: sorted(some, key=lambda p: p.start_ms) for who, some in pieces.items()
    }
    first = dict.fromkeys(ordered, 0)
    for line in lines:
        theirs = ordered.get(line.participant, [])
        at = first.get(line.participant, 0)
        while at < len(theirs) and theirs[at].start_ms < line.start_ms - LONGEST_MS:
            at += 1
        first[line.participant] = at
        if (best := _heaviest(line, theirs, at)) is not None:
            yield Sounded(line.line, best.label, best.mock)


def _heaviest(line: Spoken, theirs: list[Piece], at: int) -> Piece | None:
    weights: dict[str, float] = defaultdict(float)
    seen: dict[str, Piece] = {}
    while at < len(theirs) and theirs[at].start_ms < line.end_ms:
        piece = theirs[at]
        shared = min(piece.end_ms, line.end_ms) - max(piece.start_ms, line.start_ms)
        if shared > 0:
            weights[piece.label] += shared * piece.confidence
            seen.setdefault(piece.label, piece)
        at += 1
    if not weights:
        return None
    return seen[max(weights, key=lambda label: weights[label])]
