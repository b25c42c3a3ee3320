"""Minutes of a session as Markdown: its name and date, who spoke how long, and the
turns in their order. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from transcripts.exports import Line


@dataclass(frozen=True, slots=True)
class Share:
    """How long one person spoke."""

    speaker: str
    spoke_ms: int


def shares(lines: Sequence[Line]) -> list[Share]:
    """Who spoke how long, the longest first; people of one name are told apart."""
    spoke: dict[str, int] = {}
    names: dict[str, str] = {}
    for line in lines:
        who = line.participant or line.speaker
        names.setdefault(who, line.speaker)
        spoke[who] = spoke.get(who, 0) + max(line.end_ms - line.start_ms, 0)
    found = [Share(names[who], ms) for who, ms in spoke.items()]
    return sorted(found, key=lambda one: (-one.spoke_ms, one.speaker))


def markdown(title: str, began_at: datetime | None, lines: Sequence[Line]) -> str:
    """`# Title`, the date, the times and the turns. Whatever people said or are called
    stands there as plain text."""
    head = f"# {_plain(title) or 'Untitled session'}\n\n"
    when = f"{began_at:%Y-%m-%d %H:%M} UTC\n\n" if began_at else ""
    table = "".join(
        f"| {_plain(one.speaker)} | {clock(one.spoke_ms)} |\n" for one in shares(lines)
    )
    who = f"| who | spoke |\n| --- | --- |\n{table}\n" if table else ""
    return f"{head}{when}{who}{_turns(lines)}"


def clock(length_ms: int) -> str:
    """`1:02:03`, or `2:03` below an hour."""
    minutes, seconds = divmod(length_ms // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    short = f"{minutes}:{seconds:02d}"
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else short


def _turns(lines: Sequence[Line]) -> str:
    """Lines of one person in a row are one paragraph."""
    told: list[str] = []
    before = None
    for line in lines:
        who = line.participant or line.speaker
        if who == before:
            told[-1] += f" {_plain(line.text)}"
        else:
            at = clock(line.start_ms)
            told.append(f"**{_plain(line.speaker)}** ({at}): {_plain(line.text)}")
        before = who
    return "".join(f"{turn}\n\n" for turn in told)


def _plain(text: str) -> str:
    """One line, with what Markdown would read as signs of its own kept as it is."""
    flat = " ".join(text.split())
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>#|~!" else sign for sign in flat)
