"""Transcripts as files: for people, players, programs, tables and Audacity. Pure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class LineWord:
    """One word; times in milliseconds since the session's time zero."""

    word: str
    start_ms: int
    end_ms: int
    probability: float


@dataclass(frozen=True, slots=True)
class Line:
    """One utterance of a finished transcript."""

    start_ms: int
    end_ms: int
    speaker: str
    text: str
    id: str = ""
    participant: str = ""
    words: tuple[LineWord, ...] = ()
    language: str = ""
    confidence: float | None = None
    original: str | None = None
    """What the model had heard, where somebody has corrected it."""

    @property
    def clock(self) -> str:
        """When it begins, as people read it."""
        return _clock(self.start_ms)

    def to_json(self) -> dict[str, Any]:
        """The fields of the `utterance` event but its number, and what was heard."""
        return {
            "id": self.id,
            "participant": self.participant,
            "name": self.speaker,
            "start_ms": self.start_ms,
            "end_ms": self.end_ms,
            "text": self.text,
            "words": [asdict(word) for word in self.words],
            "language": self.language,
            "confidence": self.confidence,
            "original": self.original,
        }


@dataclass(frozen=True, slots=True)
class Format:
    """How one kind of file is made, and what a browser is told it is."""

    content_type: str
    write: Callable[[Sequence[Line]], str]


def txt(lines: Sequence[Line]) -> str:
    """`[00:01:02] Alice: what she said`, a line each."""
    return "".join(
        f"[{_clock(line.start_ms)}] {_flat(line.speaker)}: {_flat(line.text)}\n"
        for line in lines
    )


def srt(lines: Sequence[Line]) -> str:
    """SubRip; the speaker stands before the text."""
    cues = [
        f"{number}\n{_span(line, comma=True)}\n"
        f"{_flat(line.speaker)}: {_flat(line.text).replace('-->', '->')}\n"
        for number, line in enumerate(lines, start=1)
    ]
    return "\n".join(cues)


def vtt(lines: Sequence[Line]) -> str:
    """WebVTT with voice tags."""
    cues = [
        f"{_span(line, comma=False)}\n"
        f"<v {_escaped(_flat(line.speaker))}>{_escaped(_flat(line.text))}</v>\n"
        for line in lines
    ]
    return "\n".join(["WEBVTT\n", *cues])


def jsonl(lines: Sequence[Line]) -> str:
    """One JSON object a line."""
    return "".join(
        json.dumps(line.to_json(), ensure_ascii=False) + "\n" for line in lines
    )


def json_(lines: Sequence[Line]) -> str:
    """`{"lines": [...]}`."""
    data = {"lines": [line.to_json() for line in lines]}
    return json.dumps(data, ensure_ascii=False, indent=2) + "\n"


def csv_(lines: Sequence[Line]) -> str:
    """A table: seconds, the speaker, the text and its language."""
    table = io.StringIO()
    rows = csv.writer(table)
    rows.writerow(("start_s", "end_s", "speaker", "text", "language"))
    for line in lines:
        at = f"{line.start_ms / 1000:.3f}", f"{line.end_ms / 1000:.3f}"
        rows.writerow((*at, _cell(line.speaker), _cell(line.text), line.language))
    return table.getvalue()


def labels(lines: Sequence[Line]) -> str:
    """A label track of Audacity: from, to, and who said what."""
    return "".join(
        f"{line.start_ms / 1000:.6f}\t{line.end_ms / 1000:.6f}\t"
        f"{_flat(line.speaker)}: {_flat(line.text)}\n"
        for line in lines
    )


FORMATS: dict[str, Format] = {
    "txt": Format("text/plain; charset=utf-8", txt),
    "srt": Format("application/x-subrip; charset=utf-8", srt),
    "vtt": Format("text/vtt; charset=utf-8", vtt),
    "json": Format("application/json", json_),
    "jsonl": Format("application/x-ndjson", jsonl),
    "csv": Format("text/csv; charset=utf-8", csv_),
    "labels": Format("text/plain; charset=utf-8", labels),
}


def _span(line: Line, *, comma: bool) -> str:
    # Players refuse a cue that ends before it shows.
    end_ms = max(line.end_ms, line.start_ms + 1)
    span = f"{_clock(line.start_ms, millis=True)} --> {_clock(end_ms, millis=True)}"
    return span.replace(".", ",") if comma else span


def _clock(position_ms: int, *, millis: bool = False) -> str:
    seconds, rest_ms = divmod(max(0, position_ms), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours:02d}:{minutes:02d}:{seconds:02d}"
    return f"{clock}.{rest_ms:03d}" if millis else clock


def _flat(text: str) -> str:
    """On one line: a blank line would end a cue, and a line break a speaker's line."""
    return " ".join(text.split())


def _cell(text: str) -> str:
    """A spreadsheet takes what begins so for a formula, and would run it."""
    flat = _flat(text)
    return f"'{flat}" if flat.startswith(("=", "+", "-", "@")) else flat


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
