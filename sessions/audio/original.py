"""The original: what a connection received, lossless, at the rate it came in."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from sessions.audio.frames import TIMELINE_RATE, Placed

BLOCK = 4096
"""Samples per FLAC frame."""


def write_flac(path: Path, sound: Iterable[Placed], *, rate: int) -> int:
    """Write a track as FLAC, from its first sample on; what is missing is silence.

    Returns the position its first sample stands at (samples at 48 kHz). Raises OSError,
    and ValueError for a track without sound.
    """
    scale = TIMELINE_RATE // rate
    start: int | None = None
    written = 0
    held: list[NDArray[np.int16]] = []
    with av.open(str(path), "w", format="flac") as file:
        stream = file.add_stream("flac", rate=rate)
        stream.layout = "mono"

        def write(pcm: NDArray[np.int16]) -> None:
            nonlocal written
            frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts = rate, written
            frame.time_base = Fraction(1, rate)
            file.mux(stream.encode(frame))
            written += len(pcm)

        def pending() -> int:
            return sum(map(len, held))

        def settle(least: int) -> None:
            pcm = np.concatenate(held) if held else np.zeros(0, np.int16)
            while len(pcm) >= least and len(pcm):
                write(np.ascontiguousarray(pcm[:BLOCK]))
                pcm = pcm[BLOCK:]
            held[:] = [pcm] if len(pcm) else []

        for placed in sound:
            start = placed.position if start is None else start
            due = (placed.position - start) // scale
            missing = max(due - written - pending(), 0)
            while missing > 0:
                held.append(np.zeros(min(missing, BLOCK), np.int16))
                missing -= len(held[-1])
                settle(BLOCK)
            held.append(placed.pcm)
            if pending() >= BLOCK:
                settle(BLOCK)
        settle(1)
        file.mux(stream.encode(None))
    if start is None:
        raise ValueError("a track without sound")
    return start
