"""What is left of a text once it is to be spoken. Pure."""

from __future__ import annotations

import re
import unicodedata

MAX_CHARS = 1000
"""About a minute of speech; who has more to say sends it in sentences."""

# Emphasis, code and headings of Markdown, which models write unasked. A single star or
# number sign stays: callers are told to press them.
_MARKUP = re.compile(r"\*\*|__|`+|~~|^\s*(?:#{1,6}|[-*>•])\s+", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
# Joiners shape words in Persian and Indic scripts; other invisible signs are noise.
_JOINERS = "\u200c\u200d"
_FIRST_PICTURE = "\u2600"


def clean(text: str) -> str:
    """One line, at most MAX_CHARS, without what nobody can say; perhaps nothing."""
    text = _LINK.sub(r"\1", _MARKUP.sub("", unicodedata.normalize("NFC", text)))
    line = " ".join("".join(map(_spoken, text)).split())
    if not any(sign.isalnum() for sign in line):
        return "" if not set(line) & set("*#+@%&") else line[:MAX_CHARS]
    return _cut(line)


def _spoken(sign: str) -> str:
    category = unicodedata.category(sign)
    if category == "Cf":
        return sign if sign in _JOINERS else ""
    if category == "So" and sign >= _FIRST_PICTURE:
        return " "
    if "\ufe00" <= sign <= "\ufe0f" or sign == "\ufffd":
        return ""
    return " " if category[0] in "CZ" else sign


def _cut(line: str) -> str:
    """At most MAX_CHARS, at the end of a word where there is one."""
    if len(line) <= MAX_CHARS:
        return line
    head, _, rest = line[: MAX_CHARS + 1].rpartition(" ")
    return head if len(rest) < MAX_CHARS // 2 else line[:MAX_CHARS]
