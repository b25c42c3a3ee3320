"""What a call asks of its edge: `call` decides it, whoever holds the line does it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bot.phone.dialogue import Turn
from bot.phone.prompts import Prompt


class Reason(StrEnum):
    """Why a call ended."""

    CALLER = "caller_hung_up"
    SILENCE = "silence"
    LENGTH = "too_long"
    TRANSFER = "transferred"
    ASKED = "asked"
    SHUTDOWN = "shut_down"


@dataclass(frozen=True, slots=True)
class Say:
    """Say a prompt, and report when it begins and ends."""

    prompt: Prompt


@dataclass(frozen=True, slots=True)
class PlayFiller:
    """Say the filler, and report nothing; the answer is said after it."""


@dataclass(frozen=True, slots=True)
class StopSpeaking:
    """Be silent at once, and drop what is still to be said; report no end of it."""


@dataclass(frozen=True, slots=True)
class StopAnswering:
    """Give up the responder's answer."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the responder; an answer under way is given up.

    `text` is all that the caller said since we last said something, `history` what
    was before.
    """

    text: str
    history: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class HangUp:
    """Give up answer and speech, say `says` to its end if it is one, and hang up."""

    reason: Reason
    says: Prompt | None = None


@dataclass(frozen=True, slots=True)
class OptOut:
    """Take nothing of the caller's any more; the call goes on."""


Action = Say | PlayFiller | StopSpeaking | StopAnswering | Ask | HangUp | OptOut
Actions = tuple[Action, ...]
