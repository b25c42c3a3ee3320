"""The corpus: phrases spoken once by many voices, kept as raw log-mel with times.

Owns the store on disk. Windows are put together from it at training time, so that one
phrase serves in many windows. Voices and sequences of words that tests use never enter.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from training.mel import FRAME_S, raw_log_mel
from voices import SAMPLE_RATE_HZ, VOCABULARY, Delivery, espeak, is_held_out, resample

_ACCENTS = """
    en-us en en-gb-scotland en-gb-x-rp en-029 en-gb-x-gbclan en-gb-x-gbcwmd en-us-nyc
"""
ACCENTS = _ACCENTS.split()
ACCENT_WEIGHTS = (6, 6, 1, 3, 1, 1, 1, 2)
_VARIANTS = """
    - - - Alex Alicia Andrea Andy Annie Denis Diogo Gene Henrique Hugo Jacky Lee Marco
    Mario Michael Mike Nguyen adam anika announcer antonio aunty belinda benjamin boris
    caleb david ed edward f1 f3 f4 f5 grandpa gustave iven iven3 klatt klatt3 m1 m2 m4
    m5 m6 m7 m8 marcelo max michel miguel norbert pablo paul pedro quincy rob robert
    sandro shelby steph travis victor zac
"""
VARIANTS = _VARIANTS.split()  # "-" is the accent's own voice
GROUP_SIZE = 10  # phrases by one voice in one delivery
EDGE_S = 0.03  # silence kept around a phrase
LENGTH_WEIGHTS = (12, 14, 16, 14, 12, 9, 7, 5, 4, 3, 2, 2)  # of 1, 2, … 12 words
FOLLOWERS = {
    "thank": ("you",),
    "and": ("the", "you", "we"),
    "the": ("team", "project", "budget", "review", "meeting", "report", "plan"),
    "we": ("need",),
    "need": ("the", "you"),
    "new": ("plan", "project", "task", "message"),
    "please": ("open", "close", "save", "send", "call", "stop"),
}
FOLLOW_PROBABILITY = 0.25

Mel = npt.NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Phrase:
    """One spoken phrase: (frames, 80) raw log-mel; word k spans bounds[k:k + 2] s."""

    mel: Mel
    words: tuple[int, ...]
    bounds_s: tuple[float, ...]


def draw_words(source: random.Random) -> list[str]:
    """A sequence of words that training may use."""
    length = source.choices(range(1, 13), LENGTH_WEIGHTS)[0]
    while True:
        words = [source.choice(VOCABULARY)]
        while len(words) < length:
            natural = FOLLOWERS.get(words[-1])
            follows = natural and source.random() < FOLLOW_PROBABILITY
            words.append(source.choice(natural if natural and follows else VOCABULARY))
        if not is_held_out(words):
            return words


def _draw_voice(source: random.Random) -> tuple[str, Delivery, float]:
    accent = source.choices(ACCENTS, ACCENT_WEIGHTS)[0]
    variant = source.choice(VARIANTS)
    voice = accent if variant == "-" else f"{accent}+{variant}"
    delivery = Delivery(
        rate_wpm=source.randint(125, 200),
        pitch=source.randint(15, 90),
        pitch_range=source.randint(20, 80),
        word_gap=source.choice((0, 0, 0, 0, 1, 2, 5)),
    )
    stretch = source.uniform(0.93, 1.08) if source.random() < 0.5 else 1.0
    return voice, delivery, stretch


def _bounds(
    starts: tuple[float | None, ...], words: list[str], end_s: float
) -> tuple[float, ...]:
    """Word bounds; a word that espeak merged into another gets its share of letters."""
    bounds = [*starts, end_s]
    bounds[0] = 0.0 if bounds[0] is None else bounds[0]
    for index in range(1, len(words)):
        if bounds[index] is None:
            later = next(k for k in range(index, len(bounds)) if bounds[k] is not None)
            letters = [len(word) for word in words[index - 1 : later]]
            begin, finish = bounds[index - 1] or 0.0, bounds[later] or end_s
            bounds[index] = begin + (finish - begin) * letters[0] / sum(letters)
    ordered = np.maximum.accumulate([bound or 0.0 for bound in bounds])
    return tuple(float(bound) for bound in ordered)


def speak_phrase(
    words: list[str], *, voice: str, delivery: Delivery, stretch: float, ending: str
) -> Phrase | None:
    """The phrase, or None where espeak gave nothing to hear."""
    text = " ".join(words)
    speech = espeak().say(text + ending, voice=voice, delivery=delivery)
    samples = resample(speech.samples, speech.rate_hz * stretch)
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) >= 60)
    if loud.size < SAMPLE_RATE_HZ // 20:
        return None
    first_s, last_s = loud[0] / SAMPLE_RATE_HZ, loud[-1] / SAMPLE_RATE_HZ
    edge = np.zeros(round(EDGE_S * SAMPLE_RATE_HZ), dtype=np.int16)
    kept = np.concatenate([edge, samples[loud[0] : loud[-1] + 1], edge])
    mel = raw_log_mel(kept.astype(np.float32) / 32768.0)
    starts = tuple(
        None if start is None else max(start / stretch - first_s, 0.0)
        for start in speech.word_starts_s
    )
    bounds = _bounds(starts, words, last_s - first_s)
    limit = len(mel) * FRAME_S
    shifted = tuple(min(bound + EDGE_S, limit) for bound in bounds)
    indices = tuple(VOCABULARY.index(word) for word in words)
    return Phrase(mel.astype(np.float16), indices, shifted)


def write_shard(path: Path, *, groups: int, seed: int) -> None:
    """Speak `groups` groups of phrases into one file."""
    torch.set_num_threads(1)
    source = random.Random(seed)
    mels: list[Mel] = []
    lengths: list[int] = []
    words: list[int] = []
    word_counts: list[int] = []
    bounds: list[float] = []
    for _ in range(groups):
        voice, delivery, stretch = _draw_voice(source)
        made = 0
        while made < GROUP_SIZE:
            phrase = speak_phrase(
                draw_words(source),
                voice=voice,
                delivery=delivery,
                stretch=stretch,
                ending=source.choice(("", "", ".", "?", "!", ",")),
            )
            if phrase is None:
                continue
            made += 1
            mels.append(phrase.mel)
            lengths.append(len(phrase.mel))
            words += phrase.words
            word_counts.append(len(phrase.words))
            bounds += phrase.bounds_s
    np.save(path.with_suffix(".mel.npy"), np.concatenate(mels))
    np.savez(
        path.with_suffix(".npz"),
        lengths=np.asarray(lengths),
        words=np.asarray(words),
        word_counts=np.asarray(word_counts),
        bounds=np.asarray(bounds, dtype=np.float32),
    )


def read_shard(path: Path) -> list[Phrase]:
    """The phrases of one file; the frames stay on disk until they are used."""
    mel = np.load(path.with_suffix(".mel.npy"), mmap_mode="r")
    data = np.load(path.with_suffix(".npz"))
    ends = np.cumsum(data["lengths"])
    word_ends = np.cumsum(data["word_counts"])
    words, bounds = data["words"].tolist(), data["bounds"].tolist()
    phrases: list[Phrase] = []
    for index, (end, word_end) in enumerate(zip(ends, word_ends, strict=True)):
        count = int(data["word_counts"][index])
        begin = int(word_end) - count
        phrases.append(
            Phrase(
                mel=mel[end - data["lengths"][index] : end],
                words=tuple(words[begin : int(word_end)]),
                bounds_s=tuple(bounds[begin + index : int(word_end) + index + 1]),
            )
        )
    return phrases
