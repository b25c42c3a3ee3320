"""Minutes in Markdown: what it was about, who spoke how long, and what was said. Pure.

Times become `h:mm:ss` here. What people wrote or said is text, never markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from transcripts.exports import Line

CONTENT_TYPE = "text/markdown; charset=utf-8"
PAUSE_MS = 20_000
"""A speaker who is silent for longer begins a new turn."""
MARKUP = re.compile(r"([\\`*_\[\]<>#|~])")
LINE_MARKUP = re.compile(r"^(\d+)([.)])|^([-+])(?=\s|$)")


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody marked, in milliseconds since the session's time zero."""

    at_ms: int
    text: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Minutes:
    """All that stands in them. `lines` in the order they were said."""

    title: str
    started_at: datetime | None
    duration_ms: int
    lines: Sequence[Line]
    notes: Sequence[Note] = ()


@dataclass(frozen=True, slots=True)
class Share:
    """How long one person spoke."""

    speaker: str
    spoke_ms: int


@dataclass(frozen=True, slots=True)
class Turn:
    """Lines of one speaker in a row."""

    speaker: str
    start_ms: int
    texts: tuple[str, ...]


def write(minutes: Minutes) -> str:
    """The whole file."""
    return "\n".join([*_head(minutes), *_speakers(minutes), *_notes(minutes),
                      *_talk(minutes)])  # fmt: skip


def turns(lines: Sequence[Line]) -> Iterator[Turn]:
    """What was said, by who said it; who pauses long begins again."""
    held: list[Line] = []
    for line in lines:
        if held and not _goes_on(held[-1], line):
            yield _turn(held)
            held = []
        held.append(line)
    if held:
        yield _turn(held)


def _goes_on(before: Line, line: Line) -> bool:
    is_same = (before.participant, before.speaker) == (line.participant, line.speaker)
    return is_same and line.start_ms - before.end_ms < PAUSE_MS


def _turn(lines: Sequence[Line]) -> Turn:
    first = lines[0]
    return Turn(first.speaker, first.start_ms, tuple(line.text for line in lines))


def _head(minutes: Minutes) -> list[str]:
    told = [f"# {_text(minutes.title) or 'Untitled session'}", ""]
    if minutes.started_at is not None:
        at = minutes.started_at.astimezone(UTC)
        told.append(f"- Date: {at.day} {at:%B %Y, %H:%M} UTC")
    told.append(f"- Length: {clock(minutes.duration_ms)}")
    return [*told, ""]


def shares(lines: Sequence[Line]) -> list[Share]:
    """Who spoke how long, the longest first; people of one name are told apart."""
    spoken: dict[tuple[str, str], int] = {}
    for line in lines:
        key = line.participant, line.speaker
        spoken[key] = spoken.get(key, 0) + max(0, line.end_ms - line.start_ms)
    ranked = sorted(spoken.items(), key=lambda item: -item[1])
    return [Share(name, ms) for (_, name), ms in ranked]


def _speakers(minutes: Minutes) -> list[str]:
    found = shares(minutes.lines)
    if not found:
        return []
    total = sum(one.spoke_ms for one in found) or 1
    rows = [
        f"| {_text(one.speaker)} | {clock(one.spoke_ms)} |"
        f" {round(100 * one.spoke_ms / total)} % |"
        for one in found
    ]
    table = ["| Who | Spoke | Share |", "| --- | ---: | ---: |", *rows]
    return ["## Who spoke", "", *table, ""]


def _notes(minutes: Minutes) -> list[str]:
    if not minutes.notes:
        return []
    notes = sorted(minutes.notes, key=lambda note: note.at_ms)
    items = [
        f"- **{clock(note.at_ms)}** {_text(note.text) or 'Bookmark'}"
        + (f" ({_text(note.by)})" if note.by else "")
        for note in notes
    ]
    return ["## Bookmarks", "", *items, ""]


def _talk(minutes: Minutes) -> list[str]:
    told = ["## Transcript", ""]
    for turn in turns(minutes.lines):
        said = _text(" ".join(turn.texts))
        told += [f"**{_text(turn.speaker)}** ({clock(turn.start_ms)})  ", said, ""]
    return told if minutes.lines else [*told, "Nothing was said.", ""]


def _text(raw: str) -> str:
    """On one line, and no markup in it."""
    flat = MARKUP.sub(r"\\\1", " ".join(raw.split()))
    return LINE_MARKUP.sub(lambda m: f"{m[1] or ''}\\{m[2] or m[3]}", flat)


def clock(ms: int) -> str:
    """`h:mm:ss`."""
    seconds = max(0, ms) // 1000
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
