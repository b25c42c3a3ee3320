"""A telephone's sound, as tests and benches of the phone send and look for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE, FRAME, FRAME_S = 8_000, 160, 0.02
Pcm = NDArray[np.int16]


def noise(seconds: float, *, seed: int = 1, peak: int = 2000) -> Pcm:
    """No two frames of it are alike."""
    random = np.random.default_rng(seed)
    return random.integers(-peak, peak + 1, int(seconds * RATE)).astype(np.int16)


def hiss(seconds: float, *, seed: int = 1) -> Pcm:
    """So quiet that it is no speech."""
    return noise(seconds, seed=seed, peak=25)


def missing(sent: Pcm, kept: list[Pcm], *, samples: int = FRAME) -> int:
    """How many of the sent frames, or shorter pieces, are nowhere in what was kept."""
    data = b"".join(piece.astype("<i2").tobytes() for piece in kept)
    pieces = sent[: len(sent) // samples * samples].astype("<i2").reshape(-1, samples)
    return sum(piece.tobytes() not in data for piece in pieces)
