"""Steps of global_gain, granule by granule: what they do to frames, and to peaks.

Pure arithmetic on MP3 frames of ours, and the decoder, to see what came of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sessions.audio.granules import GRANULE
from sessions.audio.limiter import REACH, SIDE, STEP, amplitude, true_peaks
from sessions.audio.mp3decode import Frames, main_data_bits
from sessions.audio.mp3decoders import Decoder

FALL = 2
"""Steps that the gain may fall from one granule to the next, before a peak."""
RISE = 1
"""Steps that it may rise again, after one."""
TOLERATED_DB = 0.2
"""Above the ceiling."""
CORRECTIONS = 4
AFFECTED = 3
"""Granules on each side that fewer steps for one may touch."""

Steps = NDArray[np.int16]
"""(granules,): what is added to each global_gain."""


def amplified(frames: Frames, steps: Steps) -> Frames:
    """Frames with steps added to their global_gains, which stay within 0 and 255;
    silent granules, and those of 0 steps, as they were."""
    changed = frames.copy()
    side = changed[:, 4:21]
    wide = side.astype(np.int16)
    lengths = main_data_bits(frames)
    by_frame = steps.reshape(-1, 2)
    # global_gain: 8 bits, 39 and 98 bits into the side information.
    gains = (
        (wide[:, 4] & 1) << 7 | wide[:, 5] >> 1,
        (wide[:, 12] & 0x3F) << 2 | wide[:, 13] >> 6,
    )
    first, second = (
        np.where(length > 0, np.clip(gain + more, 0, 255), gain)
        for gain, more, length in zip(gains, by_frame.T, lengths, strict=True)
    )
    side[:, 4] = wide[:, 4] & 0xFE | first >> 7
    side[:, 5] = (first & 0x7F) << 1 | wide[:, 5] & 1
    side[:, 12] = wide[:, 12] & 0xC0 | second >> 2
    side[:, 13] = (second & 3) << 6 | wide[:, 13] & 0x3F
    return changed


def sloped(caps: NDArray[Any], wanted: NDArray[Any]) -> NDArray[np.float64]:
    """What is wanted, within the caps, falling before a peak and rising after it."""
    when = np.arange(len(caps))
    steps = np.minimum(caps, wanted)
    falling = np.minimum.accumulate((steps + FALL * when)[::-1])[::-1] - FALL * when
    rising = np.minimum.accumulate(falling - RISE * when) + RISE * when
    return np.asarray(np.floor(rising + 1e-6))


def near_ceiling(
    peaks: NDArray[np.float32], steps: NDArray[Any], ceiling_dbtp: float
) -> NDArray[np.bool_]:
    """Which granules may pass the ceiling."""
    most = steps.copy()  # of the three that are heard in it
    most[1:] = np.maximum(most[1:], steps[:-1])
    most[2:] = np.maximum(most[2:], steps[:-2])
    highest = amplitude(ceiling_dbtp + TOLERATED_DB)
    return np.asarray(peaks * np.exp2(most / 4) > highest)


def corrected(
    frames: Frames,
    steps: Steps,
    near: NDArray[Any],
    ceiling_dbtp: float,
    decoder: Decoder,
) -> Steps:
    """Fewer steps where a peak is too high all the same, as decoded."""
    highest = amplitude(ceiling_dbtp + TOLERATED_DB)
    sounding = np.stack(main_data_bits(frames), axis=1).reshape(-1) > 0
    steps = np.where(sounding, steps, steps.max(initial=0)).astype(np.int16)
    for _ in range(CORRECTIONS):
        over = np.flatnonzero(_peaks(frames, steps, near, decoder) > highest)
        if not len(over):
            break
        lower = steps.copy()
        lower[np.maximum(over - 1, 0)] -= 1  # a granule is mostly heard one later
        steps = sloped(lower, lower).astype(np.int16)
        near = np.zeros(len(steps), np.bool_)
        for beside in range(-AFFECTED, AFFECTED + 1):
            near[np.clip(over + beside, 0, len(near) - 1)] = True
    return steps


def _peaks(
    frames: Frames, steps: Steps, near: NDArray[Any], decoder: Decoder
) -> NDArray[np.float32]:
    """True peaks of the granules that are near; 0 of the others. A frame is decoded
    behind the one before it."""
    peaks = np.zeros((len(frames), 2), np.float32)
    wanted = np.asarray(near.reshape(-1, 2).any(axis=1))
    if not wanted.any():
        return peaks.reshape(-1)
    fed = wanted.copy()
    fed[:-1] |= wanted[1:]
    sound = decoder.decode(
        amplified(frames[fed], steps.reshape(-1, 2)[fed].reshape(-1))
    )
    per_step = true_peaks(np.pad(np.nan_to_num(sound), SIDE), reach=REACH)
    peaks[fed] = per_step.reshape(-1, 2, GRANULE // STEP).max(axis=2)
    return np.asarray(peaks.reshape(-1) * near)
