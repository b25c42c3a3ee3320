"""Sound for the encoder's tests: dense like speech, quickly made, always the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE = 48_000


def babble(samples: int, *, seed: int = 1) -> NDArray[np.int16]:
    """A gliding voice with four formants and breath, in syllables. Mono at 48 kHz."""
    rng = np.random.default_rng(seed)
    t = np.arange(samples) / RATE
    pitch = 120 + 40 * np.sin(2 * np.pi * 0.7 * t + rng.uniform(0, 6))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    sound = rng.normal(0, 0.05, samples)
    for formant, level in ((500, 1.0), (1500, 0.5), (2500, 0.25), (3500, 0.1)):
        harmonic = round(formant / 120)
        sound += level * np.sin(harmonic * phase) + level * np.sin(
            (harmonic + 1) * phase + 1
        )
    syllables = np.clip(np.sin(2 * np.pi * 2.2 * t + rng.uniform(0, 6)) + 0.4, 0.02, 1)
    return np.round(5000 * sound * syllables).astype(np.int16)


def scattered(
    samples: int, *, gaps: tuple[int, int], bursts: tuple[int, int], seed: int = 1
) -> list[tuple[int, NDArray[np.int16]]]:
    """Bursts with gaps of random lengths between, each with its position."""
    rng = np.random.default_rng(seed)
    source = babble(4 * RATE, seed=seed)
    found: list[tuple[int, NDArray[np.int16]]] = []
    at = int(rng.integers(*gaps))
    while at + bursts[1] < samples:
        length = int(rng.integers(*bursts))
        begin = int(rng.integers(0, len(source) - length))
        found.append((at, source[begin : begin + length]))
        at += length + int(rng.integers(*gaps))
    return found


def laid_out(
    pieces: list[tuple[int, NDArray[np.int16]]], samples: int
) -> NDArray[np.int16]:
    """The pieces in one sheet of silence."""
    sheet = np.zeros(samples, np.int16)
    for at, piece in pieces:
        sheet[at : at + len(piece)] = piece
    return sheet
