"""Waveforms: the least and greatest sample per 50 ms on the session's grid.

They are collected while the sound goes by, kept as int8, and given to players in
audiowaveform's formats, version 2: JSON and binary.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sessions.audio.frames import TIMELINE_RATE

PIXEL = 2_400
"""Samples at 48 kHz in one pair: 50 ms."""
DAT_VERSION = 2
DAT_8_BIT = 1
_DAT_HEADER = struct.Struct("<iIiiIi")
"""audiowaveform's DataFormat.md: version, flags, rate, samples per pixel, pairs,
channels."""


@dataclass(slots=True)
class _Open:
    """The pair that the next piece may go on with."""

    number: int
    least: int
    most: int
    samples: int

    def closed(self) -> tuple[int, int]:
        """As it is if nothing more comes: what is missing of it is silence."""
        if self.samples < PIXEL:
            return min(self.least, 0), max(self.most, 0)
        return self.least, self.most


class PeakMeter:
    """The waveform of one track. Pieces come in order; between them is silence: pairs
    are those of the whole, laid out with zeros."""

    def __init__(self, start: int = 0) -> None:
        """`start`: the position (samples at 48 kHz) where the first pair begins."""
        self._start = self._end = start
        self._found: list[tuple[int, NDArray[np.int8]]] = []  # pairs from a number on
        self._open: _Open | None = None
        self._taken = 0

    def add(self, position: int, pcm: NDArray[np.int16]) -> None:
        """Sound at 48 kHz from `position`; what overlaps the last end is left out."""
        pcm = pcm[max(0, self._end - position) :]
        position = max(position, self._end)
        if not len(pcm):
            return
        pixel, inside = divmod(position - self._start, PIXEL)
        starts = np.arange(-inside, len(pcm), PIXEL)
        starts[0] = 0
        least = np.minimum.reduceat(pcm, starts) >> 8
        most = np.maximum.reduceat(pcm, starts) >> 8
        samples = len(pcm) - int(starts[-1])
        if (before := self._open) is not None and before.number == pixel:
            least[0] = min(before.least, least[0])
            most[0] = max(before.most, most[0])
            inside -= before.samples
            samples += before.samples if len(starts) == 1 else 0
        else:
            self._close()
        last = pixel + len(starts) - 1
        self._open = _Open(last, int(least[-1]), int(most[-1]), samples)
        pairs = np.stack([least, most], axis=1).astype(np.int8)[:-1]
        if inside and len(pairs):  # what is missing of the first is silence
            pairs[0] = min(pairs[0, 0], 0), max(pairs[0, 1], 0)
        self._found.append((pixel, pairs))
        self._end = position + len(pcm)

    def peaks(self, until: int | None = None) -> NDArray[np.int8]:
        """Whole pairs (n, 2) of least and greatest from where the last call stopped
        to the position `until`. None: all, the last pair filled up with silence."""
        if until is None:
            until = self._start - (self._start - self._end) // PIXEL * PIXEL
        self._end = max(self._end, until)
        last = max(self._taken, (until - self._start) // PIXEL)
        if self._open is not None and self._open.number < last:
            self._close()
        found = np.zeros((last - self._taken, 2), np.int8)
        later = []
        for number, pairs in self._found:
            kept = pairs[: max(last - number, 0)]
            found[number - self._taken :][: len(kept)] = kept
            if len(kept) < len(pairs):
                later.append((number + len(kept), pairs[len(kept) :]))
        self._found, self._taken = later, last
        return found

    def _close(self) -> None:
        if self._open is not None:
            pair = np.array([self._open.closed()], np.int8)
            self._found.append((self._open.number, pair))
            self._open = None


def as_json(peaks: NDArray[np.int8]) -> str:
    """audiowaveform's JSON: {"version": 2, ..., "data": [min, max, ...]}."""
    described: dict[str, Any] = {
        "version": DAT_VERSION,
        "channels": 1,
        "sample_rate": TIMELINE_RATE,
        "samples_per_pixel": PIXEL,
        "bits": 8,
        "length": len(peaks),
        "data": peaks.reshape(-1).tolist(),
    }
    return json.dumps(described, separators=(",", ":"))


def as_dat(peaks: NDArray[np.int8]) -> bytes:
    """audiowaveform's binary form: 24 bytes of header, then one byte per value."""
    header = _DAT_HEADER.pack(
        DAT_VERSION, DAT_8_BIT, TIMELINE_RATE, PIXEL, len(peaks), 1
    )
    return header + peaks.astype(np.int8, copy=False).tobytes()
