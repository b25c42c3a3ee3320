"""Sentences out of a text that is still being written. Pure.

A sentence goes out as soon as it is sure to have ended, so that it is spoken while the
next is thought of. A dot ends one only before a blank and something that may begin one:
not in 3.5, not after Dr. or an initial, not before a small letter.
"""

from __future__ import annotations

import re

MAX_CHARS = 180
"""About ten seconds of speech: longer ones are taken at a comma."""
LEAST_CHARS = 40
"""No piece of a long sentence is shorter."""

_CLOSING = "\"'»”’)\\]）」』】"
_END = re.compile(
    rf"""
    (?P<dot> (?:\.+|…) [{_CLOSING}]* ) (?P<after> \s+ ) (?=\S)  # what follows tells
    | [!?‼⁇⁈⁉؟۔։።፧।॥\u037e]+ [{_CLOSING}]* (?=\s)
    | [。！？｡]+ [{_CLOSING}]*
    | \n
    """,
    re.VERBOSE,
)
_COMMA = re.compile(r"[,;:–—،؛](?=\s)|[，、；：]")
_LAST_WORD = re.compile(r"[^\s(\[\"'«„“]*$")
# Words that a dot belongs to, whatever follows them.
_TITLES = """
    dr mr mrs ms prof st sr jr mt vs nr ca bzw ggf inkl evtl tel hr fr mme mlle dott
    sra dra ul prof inż mgr e.g i.e z.b d.h u.a p.ex д-р проф ім вул просп буд кв тел
    тов гр напр стор акад доц ул пр им стр т.е т.к
"""
_ABBREVIATIONS = frozenset(_TITLES.split())
# Languages that write "the 3rd" as "3."
_WITH_ORDINAL_DOTS = "de da nb nn no fi et lv cs sk pl hu hr sl sr bs tr is fo lb eu"
_ORDINAL_DOTS = frozenset(_WITH_ORDINAL_DOTS.split())


class Sentences:
    """One answer. `language` is a code, or empty."""

    def __init__(self, *, language: str = "") -> None:
        base = language.lower().replace("_", "-").split("-")[0]
        self._ordinals = base in _ORDINAL_DOTS
        self._text = ""

    def feed(self, text: str) -> list[str]:
        """The sentences that are over now."""
        self._text += text
        ready = []
        while (end := self._end()) is not None:
            sentence, self._text = self._text[:end].strip(), self._text[end:]
            if sentence:
                ready.append(sentence)
        return ready

    def flush(self) -> list[str]:
        """What is left: nothing follows."""
        rest, self._text = self._text.strip(), ""
        return [rest] if rest else []

    def _end(self) -> int | None:
        """Where the first sentence ends, if it is sure to have ended."""
        for found in _END.finditer(self._text):
            if found["dot"] and not self._is_end(found):
                continue
            at = found.end("dot") if found["dot"] else found.end()
            return at if at <= MAX_CHARS else self._cut()
        return self._cut()

    def _is_end(self, dot: re.Match[str]) -> bool:
        following = self._text[dot.end()]
        if following.islower() and "\n" not in dot["after"]:
            return False
        if dot["dot"] != ".":  # an ellipsis, or a quotation mark behind it
            return True
        before = _LAST_WORD.search(self._text[: dot.start()])
        word = before[0] if before else ""
        if word.isdecimal() and len(word) <= 2:
            # A list's number, or an ordinal.
            begins = not self._text[: dot.start() - len(word)].strip()
            return not (begins or self._ordinals)
        initial = len(word) == 1 and word.isupper()
        return not (initial or word.lower() in _ABBREVIATIONS)

    def _cut(self) -> int | None:
        """Where to cut a text that is too long: a comma, a blank, or just there."""
        if len(self._text) <= MAX_CHARS:
            return None
        head = self._text[: MAX_CHARS + 1]
        commas = [found.end() for found in _COMMA.finditer(head)]
        good = [at for at in commas if LEAST_CHARS <= at <= MAX_CHARS]
        if good:
            return good[-1]
        blank = head.rfind(" ", LEAST_CHARS)
        return blank if blank > 0 else MAX_CHARS
