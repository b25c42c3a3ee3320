"""Loudness after ITU-R BS.1770-4 and EBU R128, collected while the sound goes by.

A meter turns positioned sound into mean squares per 100 ms, K-weighted; the loudness of
any part, or of any parts joined, is computed from these alone. Silence costs nothing.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 4_800
"""Samples at 48 kHz in one energy: 100 ms, the step of BS.1770's 400 ms blocks."""
K_WEIGHTING = np.array(
    [
        [
            *(1.53512485958697, -2.69169618940638, 1.19839281085285),
            *(1.0, -1.69065929318241, 0.73248077421585),
        ],
        [1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621],
    ]
)
"""BS.1770-4, tables 1 (head) and 2 (RLB), for 48 kHz, as second-order sections."""
OFFSET_LU = -0.691
"""BS.1770-4, equation 2: loudness is this plus the level of the K-weighted energy."""
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
RINGING = BLOCK
"""What the filters still sound after the last sample: by then they fell by 200 dB."""
_BATCH = 48_000
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


class KWeighting:
    """BS.1770's filter with its state, for sound that comes in pieces."""

    def __init__(self) -> None:
        # Here, not above: it takes a second to load, and most processes never weigh.
        from scipy.signal import sosfilt  # type: ignore[import-untyped]

        self._filter = sosfilt
        self._state = np.zeros((len(K_WEIGHTING), 2))

    def __call__(self, pcm: NDArray[Any]) -> NDArray[np.float64]:
        weighted, self._state = self._filter(K_WEIGHTING, mono(pcm), zi=self._state)
        return np.asarray(weighted)

    def reset(self) -> None:
        """As after a long silence."""
        self._state = np.zeros_like(self._state)


class LoudnessMeter:
    """Energies of one track. Pieces come in order; what lies between is silence."""

    def __init__(self, start: int = 0) -> None:
        """`start`: the position (samples at 48 kHz) where the first energy begins."""
        self._start = self._done = self._end = start
        self._pending: list[NDArray[np.float32]] = []
        self._weigh = KWeighting()
        self._squares: dict[int, float] = {}
        self._taken = 0

    def add(self, position: int, pcm: NDArray[Any]) -> None:
        """Sound (int16 or float32, 48 kHz) from `position`, not before the last end;
        what overlaps the last end is left out."""
        pcm = pcm[max(0, self._end - position) :]
        position = max(position, self._end)
        if not len(pcm):
            return
        if position > self._end:
            self._pass_silence(position)
        self._pending.append(mono(pcm))
        self._end = position + len(pcm)
        if self._end - self._done >= _BATCH:
            self._work_off()

    def energies(self, until: int | None = None) -> NDArray[np.float32]:
        """Mean squares of the whole blocks from where the last call stopped to the
        position `until`: what a chunk keeps beside it. None: all, the last block
        filled up with silence."""
        self._work_off()
        if until is None:
            until = self._start - (self._start - self._end) // BLOCK * BLOCK
        if until > self._end:
            self._pass_silence(until)
        last = max(self._taken, (until - self._start) // BLOCK)
        found = np.zeros(last - self._taken, np.float32)
        for block in [block for block in self._squares if block < last]:
            found[block - self._taken] = self._squares.pop(block) / BLOCK
        self._taken = last
        return found

    def _pass_silence(self, position: int) -> None:
        """Let the filters ring out, then go on at `position`."""
        self._work_off()
        ringing = min(position - self._end, RINGING)
        self._weigh_in(np.zeros(ringing, np.float32))
        if self._done < position:
            self._weigh.reset()
        self._done = self._end = position

    def _work_off(self) -> None:
        if self._pending:
            pending, self._pending = self._pending, []
            self._weigh_in(np.concatenate(pending))

    def _weigh_in(self, pcm: NDArray[np.float32]) -> None:
        weighted = self._weigh(pcm) if len(pcm) else np.zeros(0)
        block, inside = divmod(self._done - self._start, BLOCK)
        self._done += len(pcm)
        edges = np.arange(BLOCK - inside, len(weighted), BLOCK)
        starts = np.concatenate(([0], edges)).astype(np.intp)
        if len(weighted):
            for square in np.add.reduceat(weighted * weighted, starts):
                self._squares[block] = self._squares.get(block, 0.0) + float(square)
                block += 1
