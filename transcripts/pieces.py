"""Cutting a track's sound into pieces of about a second. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sessions.audio.frames import SAMPLES_PER_MS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sessions.audio.frames import Placed

PIECE_MS = 1000
# What is left before a gap is sent if it is at least so long.
LEAST_MS = 250


@dataclass(frozen=True, slots=True)
class Piece:
    """`pcm` is int16 mono at `rate`; `position` in samples at 48 kHz."""

    position: int
    pcm: NDArray[np.int16]
    rate: int

    @property
    def start_ms(self) -> int:
        return self.position // SAMPLES_PER_MS

    @property
    def end_ms(self) -> int:
        return self.start_ms + len(self.pcm) * 1000 // self.rate


@dataclass(frozen=True, slots=True)
class Tone:
    """What a classifier hears in a piece; `confidence` from 0 to 1."""

    label: str
    confidence: float
    mock: bool = False


class Slicer:
    """Collects placed sound; a gap or another rate ends a piece early."""

    def __init__(self) -> None:
        self._sound: list[Placed] = []
        self._samples = 0

    def add(self, placed: Placed) -> list[Piece]:
        """The pieces that this sound completes."""
        done: list[Piece] = []
        if self._sound and not self._continues(placed):
            done += self.flush()
        self._sound.append(placed)
        self._samples += len(placed.pcm)
        if self._samples * 1000 >= PIECE_MS * placed.rate:
            done += self.flush()
        return done

    def flush(self) -> list[Piece]:
        """What is left, if it is long enough to say anything."""
        sound, samples = self._sound, self._samples
        self._sound, self._samples = [], 0
        if not sound or samples * 1000 < LEAST_MS * sound[0].rate:
            return []
        pcm = np.concatenate([placed.pcm for placed in sound])
        return [Piece(sound[0].position, pcm, sound[0].rate)]

    def _continues(self, placed: Placed) -> bool:
        last = self._sound[-1]
        return placed.position == last.end and placed.rate == last.rate
