"""Windows as the model meets them: phrases, pauses, noise, silence, cut ends.

Owns how a training window is composed. Everything random comes from the generator
that is handed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from training.corpus import GROUP_SIZE, Phrase
from training.mel import FRAME_S, LOG_FLOOR, MEL_BINS, Frames, normalise
from training.noise import background, filtered, reverberated
from training.tokens import CHUNK_LENGTH_S

MAX_FRAMES = round(CHUNK_LENGTH_S / FRAME_S)
SPLIT_PAUSE_S = 1.2  # a longer pause ends a segment; pauses near it are never made


@dataclass(frozen=True, slots=True)
class Mix:
    """Shares of the windows of one stage; what is left over is one single phrase."""

    several: float
    long: float
    silent: float
    cut: float
    disturbed: float
    max_words: int = 12
    brief: bool = False  # some sounds that are not speech have silence around them


@dataclass(frozen=True, slots=True)
class Window:
    """(frames, 80) normalised mel and the words in it; spans in seconds.

    `continues` says that the window is full and speech went on behind it.
    """

    mel: Frames
    words: tuple[int, ...]
    spans_s: tuple[tuple[float, float], ...]
    continues: bool = False


@dataclass(slots=True)
class _Draft:
    raw: Frames
    words: list[int]
    spans_s: list[tuple[float, float]]


class Composer:
    """Makes windows from the phrases of the corpus and the bank of noises."""

    def __init__(self, phrases: list[Phrase], bank: list[Frames]) -> None:
        self._phrases = phrases
        self._bank = bank

    def window(self, source: np.random.Generator, mix: Mix) -> Window:
        """One window of the stage's mix."""
        kind = source.random()
        if kind < mix.silent:
            return self._silent(source, brief=mix.brief)
        draft = self._speech(source, mix, kind - mix.silent)
        continues = len(draft.raw) > MAX_FRAMES
        if continues:
            _cut_end(draft, MAX_FRAMES)
        elif source.random() < mix.cut:
            shortest = min(60, len(draft.raw))
            _cut_end(draft, int(source.integers(shortest, len(draft.raw) + 1)))
        if source.random() < 0.04:
            _cut_start(draft, int(source.integers(1, 60)))
        raw = self._disturbed(source, draft.raw, heavy=source.random() < mix.disturbed)
        return Window(
            normalise(raw), tuple(draft.words), tuple(draft.spans_s), continues
        )

    def _speech(self, source: np.random.Generator, mix: Mix, kind: float) -> _Draft:
        if kind < mix.long:
            limit, count = source.uniform(6.5, 17.0), 40
        elif kind < mix.long + mix.several:
            limit, count = 15.0, int(source.choice((2, 2, 2, 3, 3, 4)))
        else:
            limit, count = 15.0, 1
        parts = [_still(_lead(source))]
        words: list[int] = []
        spans: list[tuple[float, float]] = []
        group = int(source.integers(len(self._phrases) // GROUP_SIZE)) * GROUP_SIZE
        length = len(parts[0])
        while count and (not words or length * FRAME_S < limit):
            phrase = self._phrase(source, group, mix.max_words)
            count -= 1
            if words:
                if count < 30 and (length + len(phrase.mel)) * FRAME_S > 15.4:
                    break
                parts.append(_still(_pause(source)))
                length += len(parts[-1])
            begin_s = length * FRAME_S
            words += phrase.words
            bounds = [begin_s + bound for bound in phrase.bounds_s]
            spans += pairwise(bounds)
            parts.append(phrase.mel.astype(np.float32))
            length += len(phrase.mel)
        parts.append(_still(_tail(source)))
        raw = np.concatenate(parts)
        if len(raw) > MAX_FRAMES and limit < 15.5:
            raw = raw[:MAX_FRAMES]
        return _Draft(raw, words, spans)

    def _phrase(
        self, source: np.random.Generator, group: int, max_words: int
    ) -> Phrase:
        for _ in range(30):
            phrase = self._phrases[group + int(source.integers(GROUP_SIZE))]
            if len(phrase.words) <= max_words:
                return phrase
        return phrase

    def _silent(self, source: np.random.Generator, *, brief: bool) -> Window:
        frames = int(source.integers(20, MAX_FRAMES // 2))
        power = np.full((frames, MEL_BINS), 1e-10, dtype=np.float32)
        if source.random() > 0.15:
            for _ in range(int(source.integers(1, 3))):
                level = np.float32(10 ** source.uniform(-9, 2))
                power += level * background(source, self._bank, frames=frames)
        if brief and source.random() < 0.4:
            begin, end = sorted(source.integers(0, frames + 1, size=2))
            power[:begin] = power[end:] = 1e-10
        raw = np.log10(power)
        if source.random() < 0.3:
            raw = filtered(source, raw)
        return Window(normalise(raw), (), ())

    def _disturbed(
        self, source: np.random.Generator, raw: Frames, *, heavy: bool
    ) -> Frames:
        raw = np.maximum(raw + source.uniform(-2.5, 0.3), LOG_FLOOR).astype(np.float32)
        if heavy and source.random() < 0.4:
            raw = filtered(source, raw)
        if not heavy and source.random() < 0.5:
            return raw
        power = 10.0**raw
        if heavy and source.random() < 0.3:
            power = reverberated(source, power)
        frame_power = power.sum(axis=1)
        speech = frame_power[frame_power > 1e-6 * frame_power.max()].mean()
        snr_db = source.uniform(10, 35) if heavy else source.uniform(35, 70)
        noise = background(source, self._bank, frames=len(raw))
        power += noise * np.float32(speech * 10 ** (-snr_db / 10))
        return np.asarray(np.log10(np.maximum(power, 1e-10)), np.float32)


def _cut_end(draft: _Draft, frames: int) -> None:
    """Break off after `frames`; a word heard by less than 60 % is not expected."""
    end_s = frames * FRAME_S
    draft.raw = draft.raw[:frames]
    heard = [
        (word, (begin, min(end, end_s)))
        for word, (begin, end) in zip(draft.words, draft.spans_s, strict=True)
        if end_s - begin >= 0.6 * (end - begin)
    ]
    draft.words = [word for word, _ in heard]
    draft.spans_s = [span for _, span in heard]


def _cut_start(draft: _Draft, frames: int) -> None:
    if frames >= len(draft.raw) - 20:
        return
    cut_s = frames * FRAME_S
    draft.raw = draft.raw[frames:]
    heard = [
        (word, (max(begin - cut_s, 0.0), end - cut_s))
        for word, (begin, end) in zip(draft.words, draft.spans_s, strict=True)
        if end - cut_s >= 0.6 * (end - begin)
    ]
    draft.words = [word for word, _ in heard]
    draft.spans_s = [span for _, span in heard]


def _still(seconds: float) -> Frames:
    return np.full((round(seconds / FRAME_S), MEL_BINS), LOG_FLOOR, dtype=np.float32)


def _lead(source: np.random.Generator) -> float:
    kind = source.random()
    if kind < 0.6:  # the endpointing's pre-roll
        return float(source.uniform(0.3, 0.5))
    return float(source.uniform(0, 0.3) if kind < 0.85 else source.uniform(0.5, 2.0))


def _tail(source: np.random.Generator) -> float:
    kind = source.random()
    if kind < 0.6:
        return float(source.uniform(0.1, 0.35))
    return float(source.uniform(0, 0.1) if kind < 0.8 else source.uniform(0.35, 1.5))


def _pause(source: np.random.Generator) -> float:
    kind = source.random()
    if kind < 0.62:
        return float(source.uniform(0.2, 0.95))
    return float(source.uniform(0, 0.2) if kind < 0.92 else source.uniform(1.5, 3.0))
