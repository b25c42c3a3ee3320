"""Names people give: to themselves, to a session. Made fit for a screen. Pure."""

from __future__ import annotations

import unicodedata

INPUT_MAX = 4000
"""Characters looked at: what is longer is no name, and costs time to normalise."""
SPACES = frozenset({"Zs", "Zl", "Zp", "Cc"})
# Formatting (direction overrides, zero-width), surrogates, private use, unassigned.
UNSEEN = frozenset({"Cf", "Cs", "Co", "Cn"})
MARKS = frozenset({"Mn", "Me"})
MARKS_IN_A_ROW = 3
"""More marks upon one letter reach into the lines above and below."""


def clean(raw: str, *, longest: int) -> str:
    """One line of visible characters, `longest` at most; "" when nothing is left."""
    kept: list[str] = []
    marks = 0
    for c in unicodedata.normalize("NFC", raw[:INPUT_MAX]):
        kind = unicodedata.category(c)
        marks = marks + 1 if kind in MARKS else 0
        if kind in UNSEEN or marks > MARKS_IN_A_ROW:
            continue
        kept.append(" " if kind in SPACES else c)
    return " ".join("".join(kept).split())[:longest].strip()
