"""What somebody says in a run: phrases in a hiss, of which no 20 ms are alike.

So each of them is found again in what was recorded, or is not there. The hiss is too
quiet to be taken for speech.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import soxr
from numpy.typing import NDArray
from speech import voices

Pcm = NDArray[np.int16]

FRAME_S = 0.02
HISS = 25
STOCK = 12
"""Phrases of each voice."""
FIRST_S, PAUSE_S = 4.0, (5.0, 9.0)
LAST_S = 6.0
"""Nobody begins a phrase so short before the end."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words, and where they stand: samples of the track, `end` past the last."""

    text: str
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Script:
    """All of one person's sound, at `rate`; whole frames of 20 ms."""

    name: str
    rate: int
    pcm: Pcm
    phrases: tuple[Phrase, ...]

    @property
    def frame(self) -> int:
        """Samples of 20 ms."""
        return int(self.rate * FRAME_S)

    @property
    def frames(self) -> int:
        return len(self.pcm) // self.frame


def script(number: int, *, name: str, rate: int, seconds: float) -> Script:
    """The same for the same number."""
    random = np.random.default_rng(1000 + number)
    frame = int(rate * FRAME_S)
    pcm = random.integers(-HISS, HISS + 1, int(seconds / FRAME_S) * frame)
    stock = spoken(number % len(voices.UNSEEN_VOICES))
    phrases, at_s = [], FIRST_S + random.uniform(0, 4)
    while at_s < seconds - LAST_S:
        text, sound = stock[int(random.integers(len(stock)))]
        begin = int(at_s / FRAME_S) * frame
        said = sound if rate == voices.SAMPLE_RATE_HZ else resampled(sound, rate)
        end = begin + len(said)
        pcm[begin:end] += said
        phrases.append(Phrase(text, begin, end))
        at_s = end / rate + random.uniform(*PAUSE_S)
    return Script(name, rate, np.clip(pcm, -32768, 32767).astype(np.int16), (*phrases,))


@cache
def spoken(voice: int) -> list[tuple[str, Pcm]]:
    """One voice's stock of phrases, at 16 kHz."""
    texts = voices.unseen_phrases(STOCK, seed=500 + voice, min_words=3)
    name = voices.UNSEEN_VOICES[voice]
    return [(text, voices.trim(voices.speak(text, voice=name))) for text in texts]


def resampled(pcm: Pcm, rate: int) -> Pcm:
    found: Pcm = soxr.resample(pcm, voices.SAMPLE_RATE_HZ, rate)
    return found
