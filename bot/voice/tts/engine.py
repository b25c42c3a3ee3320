"""The port of voices: text in, blocks of sound out."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sessions.errors import VoiceError


class SpeechError(VoiceError):
    """Something cannot be said. `code` begins with `tts_`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message, status=502)


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of speech: mono, of any length."""

    pcm: NDArray[np.int16]
    rate: int
    """Samples a second, the same for all blocks of one speech."""


class Voice(Protocol):
    """An engine. Made once per process, used by all calls of its event loop at once.

    A class named by `TTS` is called without arguments; it may read Django's settings.
    """

    name: str

    def speak(self, text: str, *, language: str) -> AsyncGenerator[Block, None]:
        """The text as sound, in blocks as they come; an async generator.

        `text` was cleaned and is not empty; `language` is a code such as `en`, `uk`,
        `pt-br`, never empty. Raises SpeechError. The one who listens may leave between
        any two blocks (`aclose`): the engine stops then.
        """

    async def close(self) -> None:
        """Let go of connections and threads."""


class Mute:
    """`TTS=none`: nothing is said."""

    name = "none"

    async def speak(self, text: str, *, language: str) -> AsyncGenerator[Block, None]:
        nothing: tuple[Block, ...] = ()
        for block in nothing:
            yield block

    async def close(self) -> None:
        return None
