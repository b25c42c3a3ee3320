"""Speech engines for tests: sound that carries its own text, and how to break them.

Plain modules, reachable by a dotted path from worker processes too (STT_ENGINE).
"""

from __future__ import annotations

import time

from transcripts.recognised import Recognised, Word
from transcripts.weights import ModelMissingError


def sound_of(text: str, *, seconds: float = 1.0) -> bytes:
    """16 kHz PCM, as far as anybody but these engines can tell."""
    size = int(seconds * 16_000) * 2
    return text.encode().ljust(size, b"\0")[: max(size, len(text))]


class FakeEngine:
    """Hears exactly what `sound_of` was given."""

    name = "fake"
    demo = True

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.languages: list[str] = []
        self.language = "en"
        self.certainty = 0.9
        self._breaks = 0
        self._is_gone = False

    def breaks(self, *, times: int) -> None:
        self._breaks = times

    def loses_its_model(self) -> None:
        self._is_gone = True

    def final(self, audio: bytes, *, language: str) -> Recognised:
        if self._is_gone:
            raise ModelMissingError("The model has gone.")
        if self._breaks:
            self._breaks -= 1
            raise RuntimeError("a fault of native code")
        return self._hear(audio, language)

    def partial(self, audio: bytes, *, language: str) -> Recognised:
        return self.final(audio, language=language)

    def _hear(self, audio: bytes, language: str) -> Recognised:
        text = audio.rstrip(b"\0").decode()
        self.heard.append(text)
        self.languages.append(language)
        words = tuple(
            Word(word, start_s=at / 10, end_s=(at + 1) / 10, probability=0.9)
            for at, word in enumerate(text.split())
        )
        return Recognised(
            text=text,
            words=words,
            language=language or self.language,
            language_probability=1.0 if language else self.certainty,
            confidence=0.9 if text else 0.0,
        )


class SlowEngine(FakeEngine):
    """Takes long enough to be killed at it."""

    def final(self, audio: bytes, *, language: str) -> Recognised:
        time.sleep(0.2)
        return super().final(audio, language=language)


class MissingEngine(FakeEngine):
    """Cannot be made: there is no model."""

    def __init__(self) -> None:
        raise ModelMissingError("Speech model 'none': its folder does not exist.")
