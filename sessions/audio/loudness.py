"""Loudness after ITU-R BS.1770-4 and EBU R128, collected while the sound goes by.

A meter turns positioned sound into mean squares per 100 ms, K-weighted; the loudness of
any part, or of any parts joined, is computed from these alone. Silence costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sessions.audio.weighing import STEP, Weighing

Floats = NDArray[np.float32]

BLOCK = 4_800
"""Samples at 48 kHz in one energy: 100 ms, the step of BS.1770's 400 ms blocks."""
OFFSET_LU = -0.691
"""BS.1770-4, equation 2: loudness is this plus the level of the K-weighted energy."""
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
RINGING = BLOCK
"""What the filters still sound after the last sample: by then they fell by 200 dB."""
BATCH = 3 * BLOCK
"""Samples weighed at once: more would be faster only where large memory is free."""
_FULL_SCALE = np.float32(1 / 32768)


def lufs(energy: float) -> float:
    """The loudness of a K-weighted mean square."""
    return OFFSET_LU + 10 * math.log10(energy) if energy > 0 else -math.inf


def mean_square(loudness_lufs: float) -> float:
    """The K-weighted mean square that is this loud."""
    return float(10 ** ((loudness_lufs - OFFSET_LU) / 10))


def integrated(energies: NDArray[Any]) -> float | None:
    """Integrated loudness (LUFS) of consecutive 100 ms energies: 400 ms blocks by
    75 % overlap, gated. None when nothing is louder than the absolute gate."""
    energy = np.asarray(energies, dtype=np.float64)
    if len(energy) < 4:
        return None
    sums = np.concatenate(([0.0], np.cumsum(energy)))
    return gated((sums[4:] - sums[:-4]) / 4)


def gated(blocks: NDArray[np.float64]) -> float | None:
    """BS.1770-4's two gates over the mean squares of its 400 ms blocks."""
    loud = blocks[blocks > mean_square(ABSOLUTE_GATE_LUFS)]
    if not len(loud):
        return None
    kept = loud[loud > loud.mean() * 10 ** (RELATIVE_GATE_LU / 10)]
    return lufs(float(kept.mean()))


def mono(pcm: NDArray[Any]) -> NDArray[np.float32]:
    """int16 as float32 between -1 and 1; floating point stays as it is."""
    if pcm.dtype == np.int16:
        return np.asarray(pcm * _FULL_SCALE, dtype=np.float32)
    return np.asarray(pcm, dtype=np.float32)


class LoudnessMeter:
    """Energies of one track. Pieces come in order; what lies between is silence.

    They are weighed some at a time, in whole blocks from the meter's start: the same
    sound in other pieces has the same energies, but for rounding.
    """

    def __init__(
        self,
        start: int = 0,
        *,
        tell: Callable[[int, Floats, Floats], object] = lambda *_: None,
    ) -> None:
        """`start`: the position (samples at 48 kHz) where the first energy begins.
        `tell` gets what is weighed: a position, the sound from there, and the energy
        of each of its milliseconds."""
        self._start = self._end = start
        self._tell = tell
        self._pieces: list[tuple[int, NDArray[Any]]] = []
        self._block = 0  # the first that was not weighed
        self._weigh = Weighing()
        self._found: list[tuple[int, NDArray[np.float32]]] = []
        self._taken = 0

    def add(self, position: int, pcm: NDArray[Any]) -> None:
        """Sound (int16 or float32, 48 kHz) from `position`; what overlaps the last end
        is left out."""
        pcm = pcm[max(0, self._end - position) :]
        position = max(position, self._end)
        if not len(pcm):
            return
        self._pass((position - self._start) // BLOCK)
        self._pieces.append((position, pcm))
        self._end = position + len(pcm)
        if self._end - self._start - self._block * BLOCK >= BATCH:
            self._work_off((self._end - self._start) // BLOCK)

    def energies(self, until: int | None = None) -> NDArray[np.float32]:
        """Mean squares of the whole blocks from where the last call stopped to the
        position `until`: what a chunk keeps beside it. None: all, the last block
        filled up with silence."""
        if until is None:
            until = self._start - (self._start - self._end) // BLOCK * BLOCK
        last = max(self._taken, (until - self._start) // BLOCK)
        self._pass(last)
        self._work_off(last)
        self._end = max(self._end, until)
        energies = np.zeros(last - self._taken, np.float32)
        later = []
        for block, found in self._found:
            kept = found[: max(last - block, 0)]
            energies[block - self._taken :][: len(kept)] = kept
            if len(kept) < len(found):
                later.append((block + len(kept), found[len(kept) :]))
        self._found, self._taken = later, last
        return energies

    def flush(self) -> None:
        """Weigh all that came, the last block filled up with silence."""
        self._work_off(-((self._start - self._end) // BLOCK))

    def _pass(self, block: int) -> None:
        """Let the filter ring out if it has fallen silent before this block, and leave
        out the blocks that are silent."""
        silent = -((self._start - self._end) // BLOCK) + RINGING // BLOCK
        if block >= silent:
            self._work_off(silent)
            self._weigh.reset()
            self._block = max(self._block, block)

    def _work_off(self, last: int) -> None:
        """Weigh the blocks before this one."""
        if last <= self._block:
            return
        begin = self._start + self._block * BLOCK
        sound = np.zeros((last - self._block) * BLOCK, np.float32)
        later = []
        for position, pcm in self._pieces:
            at = position - begin
            kept = pcm[: max(len(sound) - at, 0)]
            sound[at : at + len(kept)] = mono(kept)
            if len(kept) < len(pcm):
                later.append((position + len(kept), pcm[len(kept) :]))
        steps = self._weigh(sound)
        self._tell(begin, sound, steps)
        self._found.append((self._block, steps.reshape(-1, BLOCK // STEP).mean(axis=1)))
        self._pieces, self._block = later, last
