"""The port of responders: what was said in, what to say and to do out."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Literal, Protocol

from sessions.errors import VoiceError

EXTENSION = re.compile(r"[A-Za-z0-9_.+*#-]{1,64}")
"""What the dialplan can be sent to, and nothing it would read as more than a name."""


class ResponderError(VoiceError):
    """There is no answer, or no whole one. `code` begins with `responder_`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message, status=502)


@dataclass(frozen=True, slots=True)
class Turn:
    """What somebody said, in one go; ours as far as it was heard."""

    speaker: Literal["caller", "us"]
    text: str


History = tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Transfer:
    """Hand the caller over to somebody else. ValueError: no name of a dialplan."""

    to: str

    def __post_init__(self) -> None:
        if not EXTENSION.fullmatch(self.to):
            raise ValueError("not an extension")


@dataclass(frozen=True, slots=True)
class HangUp:
    """Say good-bye: the call is over once what was said before has been heard."""


Reply = str | Transfer | HangUp
"""A text to be said, a sentence or so, or something to do after it."""


class Responder(Protocol):
    """Made once per process, used by all conversations of its event loop at once.

    A class named by `RESPONDER` is called without arguments; it may read Django's
    settings.
    """

    def respond(
        self, history: History, text: str, *, language: str
    ) -> AsyncGenerator[Reply, None]:
        """The answer to `text`, block after block; an async generator, maybe empty.

        `history` is what was said before, oldest first, without `text`. Keys pressed on
        a telephone come as text in square brackets: see `pressed`. `language` is a
        code, or empty: not known. After a Transfer or HangUp nothing follows. Raises
        ResponderError. Who is interrupted leaves between two blocks (`aclose`).
        """

    async def close(self) -> None:
        """Let go of connections."""


def pressed(digits: str) -> str:
    """The text for keys of a telephone: `[1]`, `[0*#]`."""
    return f"[{digits}]"


class Listener:
    """`RESPONDER=none`: record and listen only."""

    async def respond(
        self, history: History, text: str, *, language: str
    ) -> AsyncGenerator[Reply, None]:
        nothing: tuple[Reply, ...] = ()
        for reply in nothing:
            yield reply

    async def close(self) -> None:
        return None


class Echo:
    """`RESPONDER=echo`: says what it heard, for trying out."""

    async def respond(
        self, history: History, text: str, *, language: str
    ) -> AsyncGenerator[Reply, None]:
        if text.strip():
            yield text

    async def close(self) -> None:
        return None
