"""Sounds that are not speech, and what rooms and microphones do, on mel frames.

Powers add and filters are shifts on the log-mel scale, so that a window is disturbed
anew each time it is used, without touching samples.
"""

from __future__ import annotations

import numpy as np
from training.mel import FRAME_S, LOG_FLOOR, MEL_BINS, Frames, raw_log_mel

CLIP_S = 16
RATE_HZ = 16_000
BANK_SIZE = 64


def _coloured(source: np.random.Generator, slope: float) -> np.ndarray:
    count = CLIP_S * RATE_HZ
    spectrum = np.fft.rfft(source.standard_normal(count))
    frequencies = np.maximum(np.fft.rfftfreq(count, 1 / RATE_HZ), 20.0)
    return np.asarray(np.fft.irfft(spectrum * frequencies ** (-slope / 2), count))


def _tones(source: np.random.Generator, *, hum: bool) -> np.ndarray:
    time_s = np.arange(CLIP_S * RATE_HZ) / RATE_HZ
    base = source.choice((50.0, 60.0)) if hum else source.uniform(90, 2000)
    sound = np.zeros_like(time_s)
    for harmonic in range(1, int(source.integers(2, 9))):
        level = source.uniform(0.2, 1) / harmonic
        sound += level * np.sin(2 * np.pi * base * harmonic * time_s + harmonic)
    if not hum:
        beat = np.sin(2 * np.pi * source.uniform(0.2, 4) * time_s)
        sound *= 1 + source.uniform(0, 1) * beat
    return sound + 1e-3 * source.standard_normal(len(time_s))


def _clicks(source: np.random.Generator) -> np.ndarray:
    sound = np.asarray(1e-4 * source.standard_normal(CLIP_S * RATE_HZ))
    for start in source.integers(0, len(sound) - 4000, size=source.integers(5, 60)):
        length = int(source.integers(60, 3000))
        decay = np.exp(-np.arange(length) / (length / 5))
        sound[start : start + length] += source.standard_normal(length) * decay
    return sound


def make_bank(seed: int) -> list[Frames]:
    """(1600, 80) mel powers of mean one: hiss, rumble, hum, tones and clicks."""
    source = np.random.default_rng(seed)
    bank: list[Frames] = []
    for index in range(BANK_SIZE):
        kind = index % 8
        if kind < 4:
            sound = _coloured(source, slope=float(source.uniform(0, 2.2)))
        elif kind < 7:
            sound = _tones(source, hum=kind < 6)
        else:
            sound = _clicks(source)
        sound = 0.1 * sound / np.sqrt(np.mean(sound**2))
        power = 10.0 ** raw_log_mel(sound.astype(np.float32))
        bank.append((power / power.sum(axis=1).mean()).astype(np.float32))
    return bank


def filtered(source: np.random.Generator, raw: Frames) -> Frames:
    """Through a random microphone: tilt, low-pass or telephone band."""
    bins = np.linspace(-1, 1, MEL_BINS, dtype=np.float32)
    curve = bins * source.uniform(-0.8, 0.8) + source.uniform(-0.5, 0.5) * bins**2
    kind = source.random()
    if kind < 0.25:  # telephone: roughly 300 Hz to 3.4 kHz
        curve[:7] -= 3.0
        curve[58:] -= 3.0
    elif kind < 0.5:
        edge = int(source.integers(58, MEL_BINS))
        curve[edge:] -= source.uniform(1, 4)
    return np.maximum(raw + curve, LOG_FLOOR)


def reverberated(source: np.random.Generator, power: Frames) -> Frames:
    """With a tail that loses 60 dB in 0.1 to 0.35 s."""
    decay = np.float32(10 ** (-6 * FRAME_S / source.uniform(0.1, 0.35)))
    wet = np.float32(10 ** source.uniform(-1.4, -0.5))
    tail = np.zeros(MEL_BINS, dtype=np.float32)
    result = power.copy()
    for index in range(1, len(power)):
        tail = decay * (tail + wet * power[index - 1])
        result[index] += tail
    return result


def background(
    source: np.random.Generator, bank: list[Frames], *, frames: int
) -> Frames:
    """Some seconds of the bank, mean power one."""
    clip = bank[int(source.integers(len(bank)))]
    start = int(source.integers(0, len(clip) - frames + 1))
    return clip[start : start + frames]
