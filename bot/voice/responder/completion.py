"""What an OpenAI-compatible server writes, read piece by piece. Pure.

Of its answers only what is needed is looked at, and nothing in them is believed: what
has another shape than it should is an error, what is too much is left out.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from bot.voice.responder.port import HangUp, Transfer

MAX_CALLS = 8
MAX_ARGUMENT_CHARS = 2000
TRANSFER, HANG_UP = "transfer", "hang_up"


class Completion:
    """One answer: its text as it comes, and at the end what to do.

    Transfers go to one of `transfers` and nowhere else.
    """

    def __init__(self, *, transfers: Collection[str] = ()) -> None:
        self._transfers = transfers
        self._calls: dict[int, list[str]] = {}
        self._thoughts = Thoughts()
        self.finished = False
        """Whether the server said that this is all."""

    def feed(self, data: str) -> str:
        """The text of one event, or of a whole answer. Raises ValueError."""
        if data.strip() == "[DONE]":
            self.finished = True
            return ""
        try:
            event = json.loads(data)
        except RecursionError as e:
            raise ValueError("nested without end") from e
        if not isinstance(event, dict) or event.get("error"):
            raise ValueError("an error instead of an answer")
        choices = event.get("choices")
        if not isinstance(choices, list) or not choices:
            return ""  # a last event with what it cost
        choice = choices[0]
        if not isinstance(choice, dict):
            raise ValueError("a choice that is none")
        self.finished = self.finished or bool(choice.get("finish_reason"))
        said = choice.get("delta") or choice.get("message") or {}
        if not isinstance(said, dict):
            raise ValueError("a message that is none")
        self._note(said.get("tool_calls"))
        content = said.get("content")
        return self._thoughts.feed(content) if isinstance(content, str) else ""

    def rest(self) -> str:
        return self._thoughts.flush()

    def action(self) -> Transfer | HangUp | None:
        """What to do now. ValueError: it asked for nothing that it may do."""
        for _, (name, arguments) in sorted(self._calls.items()):
            if name == HANG_UP:
                return HangUp()
            if name == TRANSFER and (to := _target(arguments)) in self._transfers:
                return Transfer(to)
        if self._calls:
            raise ValueError("asked for what it may not do")
        return None

    def _note(self, calls: Any) -> None:
        for at, call in enumerate(calls if isinstance(calls, list) else ()):
            if not isinstance(call, dict) or not isinstance(call.get("function"), dict):
                continue
            index = call.get("index", at)
            if not isinstance(index, int) or not 0 <= index < MAX_CALLS:
                continue
            kept = self._calls.setdefault(index, ["", ""])
            for part, key in enumerate(("name", "arguments")):
                piece = call["function"].get(key)
                if isinstance(piece, str):
                    kept[part] = (kept[part] + piece)[:MAX_ARGUMENT_CHARS]


class Thoughts:
    """Leaves out what stands between `<think>` and `</think>`: it is not to be said."""

    _OPEN, _CLOSE = "<think>", "</think>"

    def __init__(self) -> None:
        self._text = ""
        self._thinking = False

    def feed(self, text: str) -> str:
        self._text += text
        spoken = ""
        while True:
            mark = self._CLOSE if self._thinking else self._OPEN
            before, found, after = self._text.partition(mark)
            if not found:
                break
            spoken += "" if self._thinking else before
            self._text, self._thinking = after, not self._thinking
        keep = _begun(self._text, mark)
        cut = len(self._text) - keep
        ready, self._text = self._text[:cut], self._text[cut:]
        return spoken if self._thinking else spoken + ready

    def flush(self) -> str:
        rest, self._text = self._text, ""
        return "" if self._thinking else rest


def _begun(text: str, mark: str) -> int:
    """How many characters at the end may be the beginning of `mark`."""
    sizes = range(min(len(text), len(mark) - 1), 0, -1)
    return next((size for size in sizes if text.endswith(mark[:size])), 0)


def _target(arguments: str) -> str:
    try:
        found = json.loads(arguments)
    except (ValueError, RecursionError):
        return ""
    to = found.get("to") if isinstance(found, dict) else None
    return to if isinstance(to, str) else ""
