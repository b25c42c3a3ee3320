"""Waveforms: the least and greatest sample per 50 ms on the session's grid.

They are collected while the sound goes by, kept as int8, and given to players in
audiowaveform's formats, version 2: JSON and binary.
"""

from __future__ import annotations

import json
import struct
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


class PeakMeter:
    """The waveform of one track. Pieces come in order; between them is silence: pairs
    are those of the whole, laid out with zeros."""

    def __init__(self, start: int = 0) -> None:
        """`start`: the position (samples at 48 kHz) where the first pair begins."""
        self._start = self._end = start
        self._pairs: dict[int, tuple[int, int, int]] = {}  # least, most, samples
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
        samples = np.diff(starts, append=len(pcm))
        least = np.minimum.reduceat(pcm, starts) >> 8
        most = np.maximum.reduceat(pcm, starts) >> 8
        found = zip(least.tolist(), most.tolist(), samples.tolist(), strict=True)
        for number, (low, high, known) in enumerate(found, pixel):
            if before := self._pairs.get(number):
                low, high = min(before[0], low), max(before[1], high)
                known += before[2]
            self._pairs[number] = (low, high, known)
        self._end = position + len(pcm)

    def peaks(self, until: int | None = None) -> NDArray[np.int8]:
        """Whole pairs (n, 2) of least and greatest from where the last call stopped
        to the position `until`. None: all, the last pair filled up with silence."""
        if until is None:
            until = self._start - (self._start - self._end) // PIXEL * PIXEL
        self._end = max(self._end, until)
        last = max(self._taken, (until - self._start) // PIXEL)
        found = np.zeros((last - self._taken, 2), np.int8)
        for pixel in [pixel for pixel in self._pairs if pixel < last]:
            low, high, known = self._pairs.pop(pixel)
            if known < PIXEL:
                low, high = min(low, 0), max(high, 0)
            found[pixel - self._taken] = low, high
        self._taken = last
        return found


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
