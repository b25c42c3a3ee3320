"""What a speech engine answers with. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Word:
    """One word; times in seconds from the first sample of the audio given."""

    text: str
    start_s: float
    end_s: float
    probability: float


@dataclass(frozen=True, slots=True)
class Recognised:
    """The words of one utterance; an empty `text` means that nobody spoke any."""

    text: str = ""
    words: tuple[Word, ...] = ()
    language: str = ""
    # 1.0 where the language was given and not detected.
    language_probability: float = 0.0
    confidence: float = 0.0
    no_speech_prob: float = 0.0
