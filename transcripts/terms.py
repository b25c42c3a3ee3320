"""What somebody typed into a search: words, and "words in a row". Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST = 12
"""Terms of a search: the rest is left out."""
LONGEST = 200
"""Characters of it that are looked at."""
PREFIX_FROM = 3
"""Letters from which the last word may be a beginning."""
_PIECE = re.compile(r'"([^"]*)"?|([^\s"]+)')
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Term:
    """Words that stand in a row: one, mostly."""

    words: tuple[str, ...]
    is_begun: bool = False
    """Whether the last word may go on: somebody may still be typing it."""

    def __str__(self) -> str:
        return " ".join(self.words)


def terms(query: str) -> tuple[Term, ...]:
    """All of which have to be there. Signs are not searched for: "don't" is `don t` in
    a row, as every index has it."""
    found = []
    for quoted, plain in _PIECE.findall(query[:LONGEST]):
        if words := tuple(_WORD.findall(quoted or plain)):
            found.append(Term(words))
    found = found[:MOST]
    if found and query[-1:].isalnum() and len(found[-1].words[-1]) >= PREFIX_FROM:
        found[-1] = Term(found[-1].words, is_begun=True)
    return tuple(found)
