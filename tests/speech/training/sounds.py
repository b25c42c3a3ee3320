"""More sounds that are not speech: breath, sirens, whistles, beeps, strings, knocks.

The second lesson needs them: after the first the model takes a slow whistle for a word.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from training.mel import Frames, raw_log_mel
from training.noise import CLIP_S, RATE_HZ

COUNT = CLIP_S * RATE_HZ
EACH = 10  # clips of a kind
Sound = np.ndarray


def _time_s() -> Sound:
    return np.arange(COUNT) / RATE_HZ


def _band(source: np.random.Generator) -> Sound:
    """Noise between two random frequencies."""
    spectrum = np.fft.rfft(source.standard_normal(COUNT))
    frequencies = np.fft.rfftfreq(COUNT, 1 / RATE_HZ)
    centre, width = source.uniform(200, 5000), source.uniform(0.2, 1.5)
    distance = np.log2(np.maximum(frequencies, 1.0) / centre) / width
    return np.asarray(np.fft.irfft(spectrum * np.exp(-(distance**2)), COUNT))


def _breath(source: np.random.Generator) -> Sound:
    swell = np.sin(2 * np.pi * source.uniform(0.2, 1.5) * _time_s())
    return _band(source) * np.maximum(swell, 0) ** source.uniform(1, 4)


def _knocks(source: np.random.Generator) -> Sound:
    sound, noise = np.zeros(COUNT), _band(source)
    for start in source.integers(0, COUNT - 8000, size=source.integers(4, 40)):
        length = int(source.integers(300, 8000))
        shape = (
            np.hanning(length)
            if source.random() < 0.5
            else np.geomspace(1, 0.01, length)
        )
        sound[start : start + length] += noise[:length] * shape
    return sound


def _tone(source: np.random.Generator) -> Sound:
    return np.sin(2 * np.pi * source.uniform(100, 3500) * _time_s())


def _siren(source: np.random.Generator) -> Sound:
    """A tone that glides: up, down, or to and fro."""
    base, depth = source.uniform(150, 2500), source.uniform(0.05, 0.9)
    turn = np.sin(
        2 * np.pi * source.uniform(0.05, 3) * _time_s() + source.uniform(0, 6)
    )
    if source.random() < 0.5:
        turn = (_time_s() * source.uniform(0.1, 2)) % 2 - 1
    phase = 2 * np.pi * np.cumsum(base * (1 + depth * turn)) / RATE_HZ
    return np.sin(phase) + source.uniform(0, 0.5) * np.sin(2 * phase)


def _beeps(source: np.random.Generator) -> Sound:
    pair = _tone(source) + source.integers(0, 2) * _tone(source)
    return pair * ((_time_s() * source.uniform(0.5, 6)) % 1 < source.uniform(0.1, 0.9))


def _strings(source: np.random.Generator) -> Sound:
    """Plucked chords."""
    sound, at = np.zeros(COUNT), 0
    while at < COUNT:
        length = int(source.uniform(0.15, 2.0) * RATE_HZ)
        time_s = np.arange(min(length, COUNT - at)) / RATE_HZ
        for note in source.uniform(70, 1200, size=source.integers(1, 5)):
            for harmonic in (1, 2, 3, 4):
                wave = np.sin(2 * np.pi * note * harmonic * time_s) / harmonic
                sound[at : at + len(time_s)] += wave * np.exp(
                    -time_s * source.uniform(1, 8)
                )
        at += length
    return sound


def _buzz(source: np.random.Generator) -> Sound:
    """A steady saw or square wave, seldom perfectly steady."""
    sway = 1 + source.uniform(0, 0.03) * np.sin(2 * np.pi * 5 * _time_s())
    phase = np.cumsum(source.uniform(60, 400) * sway) / RATE_HZ
    return np.sign((phase % 1) - 0.5) if source.random() < 0.5 else (phase % 1) - 0.5


KINDS: tuple[Callable[[np.random.Generator], Sound], ...] = (
    _breath,
    _band,
    _knocks,
    _tone,
    _siren,
    _beeps,
    _strings,
    _buzz,
)


def make_second_bank(seed: int) -> list[Frames]:
    """(1600, 80) mel powers of mean one, half of them over a faint hiss."""
    source = np.random.default_rng((seed, 2))
    bank: list[Frames] = []
    for index in range(EACH * len(KINDS)):
        sound = KINDS[index % len(KINDS)](source)
        sound = 0.1 * sound / np.sqrt(np.mean(sound**2))
        if source.random() < 0.5:
            sound += 10 ** source.uniform(-5, -2.5) * source.standard_normal(COUNT)
        power = 10.0 ** raw_log_mel(sound.astype(np.float32))
        bank.append((power / power.sum(axis=1).mean()).astype(np.float32))
    return bank
