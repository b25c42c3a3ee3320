"""Resampling moves nothing: every sample of a track stays where it was placed."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sessions.audio.frames import Placed
from sessions.audio.resample import Upsampler


def a_chirp(moments: NDArray[np.float64]) -> NDArray[np.int16]:
    wave = np.sin(2 * np.pi * (300 + 150 * moments) * moments)
    return np.round(9000 * wave).astype(np.int16)


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 48_000])
def test_runs_and_gaps_keep_their_places(rate: int) -> None:
    scale, size = 48_000 // rate, rate // 50
    up = Upsampler()
    track = np.zeros(48_000 * 3)
    pieces = []
    for frame in [*range(40), *range(63, 120)]:
        at = frame * size * scale
        moments = (at + np.arange(size) * scale) / 48_000
        pieces += up.put(Placed(at, a_chirp(moments), rate))
    for position, pcm in pieces + up.flush():
        track[position : position + len(pcm)] += pcm
    assert not track[40 * 960 : 63 * 960].any()
    assert not track[120 * 960 :].any()
    for start, stop in ((0, 40), (63, 120)):
        inner = slice(start * 960 + 480, stop * 960 - 480)  # edges ring a little
        truth = a_chirp(np.arange(48_000 * 3)[inner] / 48_000)
        assert np.abs(track[inner] - truth).max() < 60


def test_the_same_sound_becomes_the_same_samples() -> None:
    """What is made again from a journal must be what was made at first."""
    rng = np.random.default_rng(3)
    track = [
        Placed(n * 2000, rng.integers(-9000, 9000, 320).astype(np.int16), 16_000)
        for n in range(30)
    ]

    def run() -> bytes:
        up = Upsampler()
        pieces = [piece for placed in track for piece in up.put(placed)]
        return b"".join(pcm.tobytes() for _, pcm in pieces + up.flush())

    assert run() == run()
