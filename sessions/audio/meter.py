"""Meter: waveform and loudness of one track, collected while its sound goes by.

Both stand on the session's grid, whatever the track's beginning: what is cut from it
piece by piece joins without a seam.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sessions.audio.granules import GranuleMeter, Granules
from sessions.audio.loudness import BLOCK, LoudnessMeter
from sessions.audio.peaks import PIXEL, PeakMeter

Stored = bytes | memoryview
"""What databases give for bytes."""


@dataclass(frozen=True, slots=True, eq=False)
class Metered:
    """What is known of the sound from `start` to `end`: the peaks (n, 2), int8, with
    the numbers [start // PIXEL, end // PIXEL), and the energies, float32, with
    [start // BLOCK, end // BLOCK)."""

    peaks: NDArray[np.int8]
    energies: NDArray[np.float32]

    @classmethod
    def of(cls, peaks: Stored, energies: Stored) -> Self:
        """As they are stored."""
        return cls(
            np.frombuffer(peaks, np.int8).reshape(-1, 2),
            np.frombuffer(energies, "<f4").astype(np.float32, copy=False),
        )

    @classmethod
    def joined(cls, parts: dict[int, Metered]) -> Metered:
        """Of pieces by their start (a position); what is missing between is silent."""
        return cls(
            _laid_out({start // PIXEL: part.peaks for start, part in parts.items()}),
            _laid_out({start // BLOCK: part.energies for start, part in parts.items()}),
        )

    @property
    def peak_bytes(self) -> bytes:
        return self.peaks.tobytes()

    @property
    def energy_bytes(self) -> bytes:
        return self.energies.astype("<f4", copy=False).tobytes()


def _laid_out(parts: dict[int, NDArray[Any]]) -> NDArray[Any]:
    """By the number of each one's first row, from the least on."""
    first = min(parts)
    rows = max(number + len(part) for number, part in parts.items()) - first
    found = np.zeros((rows, *parts[first].shape[1:]), parts[first].dtype)
    for number, part in parts.items():
        found[number - first :][: len(part)] = part
    return found


class Meter:
    """One track from `start` on: a position in samples at 48 kHz."""

    def __init__(self, start: int) -> None:
        self._peaks = PeakMeter(start - start % PIXEL)
        self._granules = GranuleMeter()
        begin = start - start % BLOCK
        self._loudness = LoudnessMeter(begin, tell=self._granules.add)

    def add(self, position: int, pcm: NDArray[Any]) -> None:
        """Sound (int16, 48 kHz), in order; what lies between is silence, and free."""
        self._peaks.add(position, pcm)
        self._loudness.add(position, pcm)

    def cut(self, end: int) -> Metered:
        """What was metered since the last cut, up to the position `end`."""
        return Metered(self._peaks.peaks(end), self._loudness.energies(end))

    def granules(self) -> Granules:
        """What the encoder is given, per granule, since the last call: up to 0.3 s of
        the end may come with the next, unless the meter was flushed."""
        return self._granules.cut()

    def flush(self) -> None:
        """No more sound comes."""
        self._loudness.flush()
