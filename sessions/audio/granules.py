"""Granules: how loud each is in what an encoder will make of a sound, and its peak.

They are measured while the sound goes by, so that a fragment's loudness is set without
decoding all of it. A granule is 576 samples with a gain of their own; number g of the
session's grid sounds from 576 g - 1105, which is what encoder and decoder are late.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sessions.audio.mp3frames import DELAY
from sessions.audio.weighing import STEP

GRANULE = 576
STEPS = GRANULE // STEP
LATE = DELAY // STEP
"""In whole milliseconds: a granule's borders are known to a sample."""
_HEAD = struct.Struct("<qI")
_CRC = struct.Struct("<I")

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Granules:
    """Consecutive ones, from number `first` on: mean squares, K-weighted, and the
    greatest samples; full scale is 1."""

    first: int
    energies: Floats
    peaks: Floats

    def to_bytes(self) -> bytes:
        data = _HEAD.pack(self.first, len(self.peaks))
        data += self.energies.astype("<f4").tobytes() + self.peaks.astype("<f4").data
        return data + _CRC.pack(zlib.crc32(data))

    @classmethod
    def of(cls, data: bytes) -> Granules:
        """What `to_bytes` made. Raises ValueError for anything else."""
        if len(data) < _HEAD.size + _CRC.size:
            raise ValueError("Too short for what was measured.")
        first, count = _HEAD.unpack_from(data)
        if len(data) != _HEAD.size + 8 * count + _CRC.size:
            raise ValueError("Not as long as it says.")
        if _CRC.unpack_from(data, len(data) - _CRC.size)[0] != zlib.crc32(data[:-4]):
            raise ValueError("Its checksum does not fit.")
        both = np.frombuffer(data, "<f4", 2 * count, _HEAD.size).reshape(2, count)
        return cls(first, *both.astype(np.float32))

    @classmethod
    def joined(cls, parts: Iterable[Granules]) -> Granules:
        """In any order; a granule that lies in two parts was measured by halves."""
        known = [part for part in parts if part.first < part.behind]
        first = min((part.first for part in known), default=0)
        found = _silent(first, max((part.behind for part in known), default=0))
        for part in known:
            at = slice(part.first - first, part.behind - first)
            found.energies[at] += part.energies
            np.maximum(found.peaks[at], part.peaks, out=found.peaks[at])
        return found

    @property
    def behind(self) -> int:
        """The number behind the last."""
        return self.first + len(self.peaks)

    def within(self, first: int, behind: int) -> Granules:
        """From number `first` up to `behind`: silent where nothing is known."""
        found = _silent(first, behind)
        low, high = max(first, self.first), min(behind, self.behind)
        if low < high:
            here = slice(low - first, high - first)
            there = slice(low - self.first, high - self.first)
            found.energies[here] = self.energies[there]
            found.peaks[here] = self.peaks[there]
        return found


def _silent(first: int, behind: int) -> Granules:
    return Granules(first, *np.zeros((2, behind - first), np.float32))


class GranuleMeter:
    """Those of one sound. Pieces come in order; what lies between is silence."""

    def __init__(self) -> None:
        self._parts: list[Granules] = []

    def add(self, position: int, sound: Floats, energies: Floats) -> None:
        """Sound (48 kHz) from a whole millisecond on, and the K-weighted mean square
        of each of its milliseconds."""
        step = position // STEP + LATE
        first = step // STEPS
        begins = np.maximum(np.arange(first * STEPS - step, len(energies), STEPS), 0)
        sums = np.add.reduceat(energies, begins)
        loud = np.asarray(sums / STEPS, dtype=np.float32)
        peaks = np.maximum.reduceat(np.abs(sound), begins * STEP)
        self._parts.append(Granules(first, loud, peaks))

    def cut(self) -> Granules:
        """What was measured since the last cut: its last one may go on in the next."""
        parts, self._parts = self._parts, []
        return Granules.joined(parts)
