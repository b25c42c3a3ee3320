"""Bringing speech to one level."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from bot.voice.tts.loudness import Leveller

RATE = 8000
TARGET = -26.0


def voice(seconds: float, *, level_db: float, seed: int = 1) -> NDArray[np.float32]:
    """Noise in words of 0.3 s with pauses of 0.1 s between."""
    t = np.arange(round(seconds * RATE))
    noise = np.random.default_rng(seed).normal(0, 10 ** (level_db / 20), len(t))
    return np.where((t / RATE) % 0.4 < 0.3, noise, 0).astype(np.float32)


def silence(seconds: float) -> NDArray[np.float32]:
    return np.zeros(round(seconds * RATE), np.float32)


def level(sound: NDArray[np.float32], *, piece: int = 1000) -> NDArray[np.float32]:
    leveller = Leveller(rate=RATE, target_dbfs=TARGET)
    parts = [leveller.put(sound[at : at + piece]) for at in range(0, len(sound), piece)]
    return np.concatenate([*parts, leveller.flush()])


def active_db(sound: NDArray[np.float32]) -> float:
    loud = sound[np.abs(sound) > 0]
    return float(10 * np.log10(np.mean(loud.astype(np.float64) ** 2)))


@pytest.mark.parametrize("level_db", [-45.0, -30.0, -18.0, -12.0])
def test_quiet_and_loud_voices_come_out_alike(level_db: float) -> None:
    out = level(voice(3.0, level_db=level_db))
    assert active_db(out) == pytest.approx(TARGET, abs=0.5)
    first = out[: RATE // 2]
    assert active_db(first) == pytest.approx(TARGET, abs=1.0)


def test_it_does_not_matter_in_what_pieces_it_comes() -> None:
    sound = voice(1.5, level_db=-20)
    whole = level(sound, piece=100_000)
    for piece in (1, 77, 160, 1000):
        assert np.array_equal(level(sound, piece=piece), whole)


def test_nothing_is_lost_but_the_silence_before() -> None:
    sound = voice(1.0, level_db=-20)
    assert len(level(sound)) == len(sound)
    later = np.concatenate([silence(0.5), sound, silence(0.3)])
    assert len(level(later)) == len(later) - round(0.48 * RATE)
    assert len(level(sound[:1003])) == 1003


def test_a_pause_is_not_made_louder() -> None:
    sound = voice(1.0, level_db=-30)
    hiss = np.random.default_rng(2).normal(0, 0.0005, 2 * RATE).astype(np.float32)
    out = level(np.concatenate([sound, hiss, sound]))
    pause = out[round(1.5 * RATE) : round(2.5 * RATE)]
    assert active_db(pause) < TARGET - 30


def test_a_voice_that_turns_louder_is_followed_slowly() -> None:
    sound = [voice(2.0, level_db=-30), voice(2.0, level_db=-18, seed=2)]
    out = level(np.concatenate(sound))
    heard = [active_db(out[at * RATE // 2 :][: RATE // 2]) for at in range(8)]
    assert heard[4] > TARGET + 6
    assert all(0 < before - after < 4 for before, after in pairwise(heard[4:]))


def test_peaks_are_bent_below_the_ceiling() -> None:
    sound = voice(1.0, level_db=-20)
    sound[4000] = 1.0
    sound[100] = -1.0
    out = level(np.concatenate([sound * 0.1, sound]))
    assert float(np.abs(out).max()) < 0.708


@pytest.mark.parametrize("sound", [silence(0), silence(2.0), silence(2.0) + 1e-4])
def test_where_nobody_speaks_nothing_comes(sound: NDArray[np.float32]) -> None:
    assert len(level(sound)) == 0


def test_the_first_sound_waits_no_longer_than_it_must() -> None:
    leveller = Leveller(rate=RATE, target_dbfs=TARGET)
    sound = voice(1.0, level_db=-20)
    assert len(leveller.put(sound[: RATE * 30 // 100])) == 0
    assert len(leveller.put(sound[RATE * 30 // 100 : RATE * 34 // 100])) > 0
