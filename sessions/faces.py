"""Faces: initials and a colour for each speaker of a page. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SLOTS = 8
"""Colours, as `app.css` has them."""


@dataclass(frozen=True, slots=True)
class Face:
    """Somebody as a page draws them; `slot` is their colour."""

    name: str
    initials: str
    slot: int


def faces(names: Iterable[str]) -> tuple[Face, ...]:
    """One for each name, in this order: whoever comes back under theirs is not new."""
    distinct = dict.fromkeys(names)
    return tuple(
        Face(name, initials(name), number % SLOTS)
        for number, name in enumerate(distinct)
    )


def initials(name: str) -> str:
    """One or two letters: "Ada Lovelace" is AL, "Zoë" is Z. As `speakers.js` does."""
    words = name.split()
    ends = words if len(words) < 2 else [words[0], words[-1]]
    return "".join(word[0].upper()[:1] for word in ends) or "?"
