"""What the model is asked to hear: unseen words in unseen voices, as Parley cuts them.

Owns the conditions of the evaluation. Every trial is drawn from a fixed seed, and none
is ever used in training.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from voices import (
    SAMPLE_RATE_HZ,
    UNSEEN_VOICES,
    VOCABULARY,
    Delivery,
    Samples,
    silence,
    speak,
    speak_phrases,
    trim,
    unseen_phrases,
)

PRE_ROLL_S, TAIL_S = 0.4, 0.2


@dataclass(frozen=True, slots=True)
class Trial:
    """One utterance to hear; `open_end` says that it was cut inside a word."""

    samples: Samples
    text: str
    open_end: bool = False


def _voice(source: random.Random) -> tuple[str, Delivery]:
    delivery = Delivery(
        rate_wpm=source.randint(150, 185),
        pitch=source.randint(35, 65),
        pitch_range=source.randint(40, 60),
    )
    return source.choice(UNSEEN_VOICES), delivery


def _framed(samples: Samples, source: random.Random) -> Samples:
    """As the endpointing hands it over: pre-roll in front, a tail behind."""
    lead, tail = (
        PRE_ROLL_S + source.uniform(-0.1, 0.05),
        TAIL_S + source.uniform(-0.05, 0.1),
    )
    return np.concatenate([silence(lead), samples, silence(tail)])


def _noisy(samples: Samples, snr_db: float, seed: int) -> Samples:
    speech = samples.astype(np.float32)
    level = np.sqrt(np.mean(speech[np.abs(speech) > 100] ** 2)) * 10 ** (-snr_db / 20)
    noise = np.random.default_rng(seed).standard_normal(len(speech)) * level
    return np.asarray(np.clip(speech + noise, -32768, 32767), dtype=np.int16)


def phrases(count: int, *, seed: int, low: int, high: int) -> list[Trial]:
    """One phrase in one breath."""
    source = random.Random(seed)
    if high == 1:
        texts = source.sample(VOCABULARY * 2, count)
    else:
        texts = unseen_phrases(count, seed=seed, min_words=low, max_words=high)
    trials = []
    for text in texts:
        voice, delivery = _voice(source)
        spoken = trim(speak(text, voice=voice, delivery=delivery))
        trials.append(Trial(_framed(spoken, source), text))
    return trials


def several(count: int, *, seed: int, snr_db: float | None = None) -> list[Trial]:
    """Two or three phrases with pauses of 0.3 to 0.75 s."""
    source = random.Random(seed)
    texts = iter(unseen_phrases(count * 3, seed=seed, min_words=2, max_words=5))
    trials = []
    for index in range(count):
        voice, delivery = _voice(source)
        parts = [next(texts) for _ in range(source.choice((2, 3)))]
        spoken = speak_phrases(
            parts, voice=voice, pause_s=source.uniform(0.3, 0.75), delivery=delivery
        )
        framed = _framed(spoken, source)
        if snr_db is not None:
            framed = _noisy(framed, snr_db, seed + index)
        trials.append(Trial(framed, " ".join(parts)))
    return trials


def monologues(count: int, *, seed: int) -> list[Trial]:
    """Ten to fifteen seconds without a pause that would end the utterance."""
    source = random.Random(seed)
    texts = iter(unseen_phrases(count * 20, seed=seed, min_words=2, max_words=7))
    trials = []
    for _ in range(count):
        voice, delivery = _voice(source)
        parts: list[str] = []
        spoken, limit_s = silence(0), source.uniform(11, 14)
        while True:
            longer = [*parts, next(texts)]
            pause_s = source.uniform(0.1, 0.7)
            added = speak_phrases(
                longer, voice=voice, pause_s=pause_s, delivery=delivery
            )
            if len(added) > limit_s * SAMPLE_RATE_HZ:
                break
            parts, spoken = longer, added
        trials.append(Trial(_framed(spoken, source), " ".join(parts)))
    return trials


def cut(count: int, *, seed: int) -> list[Trial]:
    """The beginnings that partial transcriptions hear: cut anywhere after 0.8 s."""
    source = random.Random(seed)
    trials = []
    for text in unseen_phrases(count, seed=seed, min_words=4, max_words=9):
        voice, delivery = _voice(source)
        words = text.split()
        ends = [
            len(trim(speak(" ".join(words[:k]), voice=voice, delivery=delivery)))
            for k in range(1, len(words) + 1)
        ]
        spoken = trim(speak(text, voice=voice, delivery=delivery))
        at = source.randint(round(0.8 * SAMPLE_RATE_HZ), len(spoken))
        whole = sum(end * len(spoken) / ends[-1] <= at for end in ends)
        samples = np.concatenate([silence(PRE_ROLL_S), spoken[:at]])
        trials.append(Trial(samples, " ".join(words[:whole]), open_end=True))
    return trials


def stillness() -> list[Trial]:
    """Three seconds each of what must give no text."""
    time_s = np.arange(3 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    random_source = np.random.default_rng(5)
    overtones = [np.sin(2 * np.pi * 50 * k * time_s) / k for k in (1, 2, 3, 5)]
    hum = np.sum(overtones, axis=0)
    sounds = [
        np.zeros_like(time_s),
        np.sin(2 * np.pi * 440 * time_s) * 3000,
        hum * 2000,
    ]
    for level in (3, 30, 300, 3000):
        sounds.append(random_source.standard_normal(len(time_s)) * level)
        sounds.append(np.cumsum(random_source.standard_normal(len(time_s))) % 7 * level)
    return [Trial(sound.astype(np.int16), "") for sound in sounds]


CONDITIONS: dict[str, Callable[[], list[Trial]]] = {
    "1 word": lambda: phrases(30, seed=101, low=1, high=1),
    "2-6 words": lambda: phrases(60, seed=102, low=2, high=6),
    "7-12 words": lambda: phrases(20, seed=103, low=7, high=12),
    "2-3 phrases": lambda: several(40, seed=104),
    "2-3 phrases, noise 30 dB": lambda: several(20, seed=105, snr_db=30),
    "2-3 phrases, noise 15 dB": lambda: several(20, seed=106, snr_db=15),
    "monologue 11-15 s": lambda: monologues(8, seed=107),
    "cut in a word": lambda: cut(30, seed=108),
    "no speech": stillness,
}
CLEAN = ("1 word", "2-6 words", "7-12 words", "2-3 phrases", "monologue 11-15 s")
