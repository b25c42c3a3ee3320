"""What was said in a call, for the responder, and as JSON for a call that broke off.

Bounded in turns and characters: the oldest is forgotten first. The transcript, which
forgets nothing, is in the database.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from bot.phone.states import State
from sessions.errors import VoiceError

VERSION = 1
TURNS_MAX = 200
TURN_MAX_CHARS = 4_000
CHARS_MAX = 24_000
JSON_MAX_CHARS = 1_000_000


class Speaker(StrEnum):
    CALLER = "caller"
    US = "us"


class BrokenDialogueError(VoiceError):
    """What was kept of a call is not what this version writes."""

    def __init__(self, message: str) -> None:
        super().__init__("broken_dialogue", message)


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side said; `at_ms` of the session's timeline is when it was noted."""

    speaker: Speaker
    text: str
    at_ms: int


def with_turn(turns: tuple[Turn, ...], turn: Turn) -> tuple[Turn, ...]:
    """`turns` and one more; what we say in blocks is one turn."""
    last = turns[-1] if turns else None
    # Half a surrogate pair, as a model may stream it, could never be written.
    text = turn.text.encode(errors="replace").decode()
    turn = Turn(turn.speaker, text, turn.at_ms)
    if last and last.speaker is turn.speaker is Speaker.US:
        turn = Turn(Speaker.US, f"{last.text} {turn.text}", last.at_ms)
        turns = turns[:-1]
    return bounded((*turns, turn))


def bounded(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """The newest turns that fit; of a turn that is too long, its end."""
    kept: list[Turn] = []
    chars = 0
    for turn in reversed(tuple(turns)):
        cut = Turn(turn.speaker, turn.text[-TURN_MAX_CHARS:], turn.at_ms)
        chars += len(cut.text)
        if len(kept) == TURNS_MAX or chars > CHARS_MAX:
            break
        kept.append(cut)
    return tuple(reversed(kept))


def unanswered(turns: tuple[Turn, ...]) -> int:
    """How many turns the caller said at the end, since we last said something."""
    count = 0
    for turn in reversed(turns):
        if turn.speaker is Speaker.US:
            break
        count += 1
    return count


@dataclass(frozen=True, slots=True)
class Saved:
    """A call as it is kept: enough to go on after a crash.

    `saved_at_s` is seconds of the wall clock; whoever keeps the call sets it.
    """

    state: State
    turns: tuple[Turn, ...] = ()
    saved_at_s: float = 0.0

    def to_json(self) -> str:
        return json.dumps({"version": VERSION, **asdict(self)}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Saved:
        """Raises BrokenDialogueError for whatever `to_json` would not write."""
        if len(text) > JSON_MAX_CHARS:
            raise BrokenDialogueError(f"A dialogue of {len(text)} characters.")
        try:
            found = json.loads(text)
            if found["version"] != VERSION:
                raise BrokenDialogueError("A dialogue of another version.")
            turns = bounded(_turn(turn) for turn in found["turns"])
            at_s = _number(found["saved_at_s"])
            return cls(State(found["state"]), turns, at_s)
        except (ValueError, KeyError, TypeError, RecursionError) as e:
            raise BrokenDialogueError("This is not a saved dialogue.") from e


def _turn(found: Any) -> Turn:
    at_ms = found["at_ms"]
    if type(at_ms) is not int:
        raise TypeError("at_ms")
    return Turn(Speaker(found["speaker"]), _text(found["text"]), at_ms)


def _text(found: Any) -> str:
    if not isinstance(found, str):
        raise TypeError("not a text")
    found.encode()  # half a surrogate pair is no text: UnicodeEncodeError
    return found


def _number(found: Any) -> float:
    if type(found) not in (int, float) or not abs(found) < 1e12:
        raise TypeError("not a number")
    return float(found)
