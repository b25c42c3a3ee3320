"""STOI: how much of a speech is still understood, from 0 to 1, beside its original.

After Taal, Hendriks, Heusdens and Jensen, "An Algorithm for Intelligibility Prediction
of Time-Frequency Weighted Noisy Speech", IEEE TASLP 19 (7), 2011: correlation of the
envelopes of 15 third-octave bands, 384 ms at a time, where the original is not silent.
"""

from __future__ import annotations

import numpy as np
import soxr
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

RATE = 10_000
FRAME, HOP, BINS = 256, 128, 512
BANDS, LOWEST_HZ = 15, 150
SEGMENT = 30
"""Frames compared at once: 384 ms."""
RANGE_DB = 40
"""Frames this far below the original's loudest one are silence."""
CLIP_DB = 15
"""The lowest ratio of speech to distortion that makes a difference."""

Sound = NDArray[np.floating]
_WINDOW = np.hanning(FRAME + 2)[1:-1]


def stoi(original: Sound, heard: Sound, *, rate: int = 48_000) -> float:
    """Both as long and in step; how loud each is makes no difference."""
    clean, other = (
        sliding_window_view(soxr.resample(sound, rate, RATE), FRAME)[::HOP] * _WINDOW
        for sound in (original.astype(np.float64), heard.astype(np.float64))
    )
    level = 20 * np.log10(np.linalg.norm(clean, axis=1) + 1e-12)
    sounding = level > level.max() - RANGE_DB
    bands, received = (_bands(_joined(part[sounding])) for part in (clean, other))
    x, y = (
        sliding_window_view(part, SEGMENT, axis=1).reshape(-1, SEGMENT)
        for part in (bands, received)
    )
    y = y * (_norm(x) / (_norm(y) + 1e-12))
    y = np.minimum(y, x * (1 + 10 ** (CLIP_DB / 20)))
    x, y = (part - part.mean(axis=1, keepdims=True) for part in (x, y))
    return float(np.mean(np.sum(x * y, axis=1) / (_norm(x) * _norm(y) + 1e-12)[:, 0]))


def _joined(frames: Sound) -> Sound:
    """Overlapped frames as one sound again."""
    sound = np.zeros((len(frames) + 1) * HOP)
    for half in (0, 1):
        part = frames[:, half * HOP : (half + 1) * HOP].reshape(-1)
        sound[half * HOP : half * HOP + len(part)] += part
    return sound


def _bands(sound: Sound) -> Sound:
    """(bands, frames): the amplitude in each third of an octave."""
    frames = sliding_window_view(sound, FRAME)[::HOP] * _WINDOW
    power = np.abs(np.fft.rfft(frames, BINS)) ** 2
    spacing = RATE / BINS
    centres = LOWEST_HZ * 2 ** (np.arange(BANDS) / 3)
    edges = centres[:, None] * 2 ** np.array([-1 / 6, 1 / 6])
    low, high = np.rint(edges / spacing).astype(int).T
    return np.sqrt([power[:, a:b].sum(axis=1) for a, b in zip(low, high, strict=True)])


def _norm(segments: Sound) -> Sound:
    return np.linalg.norm(segments, axis=1, keepdims=True)
