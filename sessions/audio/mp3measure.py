"""What a track of ours measures per granule, as decoded: loudness and peaks.

Either all of it is decoded, or what was measured before it was encoded is held against
the loudest eighth: an encoder takes a part of the sound away, from speech 0.4 LU.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sessions.audio.granules import GRANULE, Granules
from sessions.audio.mp3decode import BATCH, DELAY, FRAME, TrackReader, main_data_bits
from sessions.audio.weighing import STEP, Weighing

HELD_AGAINST = 8
"""One of so many batches is decoded."""
BELIEVED = 0.5, 1.25
"""What an encoder leaves of the energy: anything else was measured of other sound."""
SLACK_DB = 1.0
"""What an encoder adds to a granule's peak: 999 of 1,000 get less, synthetic voices at
64 kbit/s."""

Batch = tuple[int, int]
"""The first of some frames, and the one behind the last."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """A track per granule, as decoded: granule g sounds from 576 g - 1105. Memory: 9
    bytes for each, 2.7 MB an hour."""

    energies: NDArray[np.float32]
    """Mean squares, K-weighted."""
    peaks: NDArray[np.float32]
    audible: NDArray[np.bool_]
    """Whether the granule holds sound of its own."""
    slack_db: float = 0.0
    """By how much a peak may be higher."""


def batches(track: TrackReader) -> Iterator[Batch]:
    """A track's frames, 24 s at a time."""
    for first in range(track.first_frame, track.end_frame, BATCH):
        yield first, min(track.end_frame, first + BATCH)


def measure(track: TrackReader) -> Measured:
    """Decode what is audible, once."""
    return _heard(track, batches(track), _unheard(track))


def recalled(track: TrackReader, known: Granules) -> Measured:
    """From what was known before it was encoded; decoded where that cannot be."""
    all_of_it = list(batches(track))
    found = known.within(2 * track.first_frame, 2 * track.end_frame)
    loudness = {batch: found.energies[_part(track, batch)].sum() for batch in all_of_it}
    loudest = sorted(all_of_it, key=lambda batch: -loudness[batch])
    tried = loudest[: -(-len(all_of_it) // HELD_AGAINST)]
    heard = _heard(track, tried, _unheard(track))
    before = sum(float(loudness[batch]) for batch in tried)
    left = float(heard.energies.sum()) / before if before else 0.0
    least, most = BELIEVED
    if not least <= left <= most:
        return _heard(track, set(all_of_it) - set(tried), heard)
    rest = np.ones(len(found.peaks), np.bool_)
    for batch in tried:
        rest[_part(track, batch)] = False
    heard.energies[rest] = found.energies[rest] * np.float32(left)
    heard.peaks[rest] = found.peaks[rest] * np.float32(left**0.5)
    return replace(heard, slack_db=SLACK_DB)


def _unheard(track: TrackReader) -> Measured:
    count = 2 * (track.end_frame - track.first_frame)
    energies, peaks = np.zeros((2, count), np.float32)
    audible = np.zeros(count, np.bool_)
    for first, end in batches(track):
        lengths = np.stack(main_data_bits(track.frames(first, end)), axis=1)
        audible[_part(track, (first, end))] = lengths.reshape(-1) > 0
    return Measured(energies, peaks, audible)


def _heard(track: TrackReader, some: Iterable[Batch], measured: Measured) -> Measured:
    """Decode some of it, and write down what it measures."""
    weigh, at = Weighing(), -1
    for first, end in sorted(some):
        for position, sound in track.sounds(first * FRAME - DELAY, end * FRAME - DELAY):
            if position != at:
                weigh.reset()
            at = position + len(sound)
            one = (position + DELAY) // GRANULE - 2 * track.first_frame
            both = slice(one, one + len(sound) // GRANULE)
            steps = weigh(sound).reshape(-1, GRANULE // STEP)
            measured.energies[both] = steps.mean(axis=1)
            measured.peaks[both] = np.abs(sound).reshape(-1, GRANULE).max(axis=1)
    return measured


def _part(track: TrackReader, batch: Batch) -> slice:
    """A batch's granules."""
    first, end = batch
    return slice(2 * (first - track.first_frame), 2 * (end - track.first_frame))
