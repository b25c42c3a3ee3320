"""When the words of a corrected line were said: those that stayed keep their times, new
ones stand evenly between them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from transcripts.exports import LineWord

CERTAIN = 1.0
"""Of a word that somebody wrote."""


def retimed(
    heard: Sequence[LineWord], text: str, *, start_ms: int, end_ms: int
) -> tuple[LineWord, ...]:
    """The words of `text` with times, by those the model heard in the same stretch. A
    line of which no word has a time gets none."""
    if not heard:
        return ()
    written = text.split()
    kept = _kept(heard, written)
    words: list[LineWord] = []
    gap: list[str] = []
    left_ms = min(start_ms, heard[0].start_ms)
    for at, word in enumerate(written):
        same = kept.get(at)
        if same is None:
            gap.append(word)
            continue
        words += _spread(gap, left_ms, same.start_ms)
        words.append(LineWord(word, same.start_ms, same.end_ms, same.probability))
        gap, left_ms = [], same.end_ms
    return (*words, *_spread(gap, left_ms, max(end_ms, heard[-1].end_ms)))


def _kept(heard: Sequence[LineWord], written: Sequence[str]) -> dict[int, LineWord]:
    """Which written word is which heard one. Case and signs make no other word."""
    before, after = [_plain(one.word) for one in heard], [_plain(w) for w in written]
    blocks = SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
    return {
        block.b + n: heard[block.a + n] for block in blocks for n in range(block.size)
    }


def _plain(word: str) -> str:
    letters = "".join(c for c in word.casefold() if c.isalnum())
    return letters or word.strip()


def _spread(words: Sequence[str], left_ms: int, right_ms: int) -> list[LineWord]:
    """As long as each other, from one moment to another."""
    room = max(right_ms - left_ms, 0)
    edges = [left_ms + room * n // max(len(words), 1) for n in range(len(words) + 1)]
    return [
        LineWord(word, edges[n], edges[n + 1], CERTAIN) for n, word in enumerate(words)
    ]
