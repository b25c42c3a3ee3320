"""The meter: what it collects piece by piece is what the whole sound has."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from babble import laid_out
from numpy.typing import NDArray

from sessions.audio.loudness import BLOCK, mono
from sessions.audio.meter import Meter, Metered
from sessions.audio.peaks import PIXEL
from sessions.audio.weighing import STEP, Weighing

SAMPLES = 10 * BLOCK


def plain(sound: NDArray[np.int16]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Peaks and energies of whole sound, in one piece."""
    pixels = sound.reshape(-1, PIXEL)
    peaks = np.stack([pixels.min(axis=1) >> 8, pixels.max(axis=1) >> 8], axis=1)
    energies = Weighing()(mono(sound)).reshape(-1, BLOCK // STEP).mean(axis=1)
    return peaks.astype(np.int8), energies


@pytest.mark.parametrize("seed", range(3))
def test_pieces_gaps_and_cuts_anywhere_give_what_the_whole_has(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sound = rng.integers(-9_000, 9_000, SAMPLES).astype(np.int16)
    edges = [0, *np.cumsum(rng.integers(1, 9_000, 14)).tolist()]
    pieces = [
        (begin, sound[begin:end])
        for begin, end in pairwise(edges)
        if rng.random() < 0.7 and begin < SAMPLES
    ]
    meter, cuts, at = Meter(0), {}, 0
    for position, pcm in pieces:
        meter.add(position, pcm)
        if rng.random() < 0.4:
            end = max(at, position + len(pcm) - int(rng.integers(2_000)))
            cuts[at], at = meter.cut(end), end
    found = Metered.joined({**cuts, at: meter.cut(SAMPLES)})
    peaks, energies = plain(laid_out(pieces, SAMPLES))
    assert np.array_equal(found.peaks, peaks)
    assert found.energies == pytest.approx(energies, rel=1e-3, abs=1e-9)


def test_chunks_of_a_late_track_meet_on_the_sessions_grid() -> None:
    start, cut = 7 * 1152, 33 * 1152
    sound = np.full(SAMPLES, 2_000, np.int16)
    meter = Meter(start)
    meter.add(start, sound[start:])
    first, second = meter.cut(cut), meter.cut(SAMPLES)
    assert len(first.peaks) == cut // PIXEL - start // PIXEL
    assert len(second.peaks) == SAMPLES // PIXEL - cut // PIXEL
    assert len(first.energies) == cut // BLOCK - start // BLOCK
    assert len(second.energies) == SAMPLES // BLOCK - cut // BLOCK
    assert first.peaks[0].tolist() == [0, 7]  # silent until it begins
    assert first.peaks[1:].tolist() == [[7, 7]] * (len(first.peaks) - 1)


def test_what_is_missing_between_two_pieces_is_silent() -> None:
    part = Metered(np.ones((2, 2), np.int8), np.ones(1, np.float32))
    whole = Metered.joined({3 * BLOCK: part, 5 * BLOCK: part})
    assert whole.energies.tolist() == [1, 0, 1]
    assert whole.peaks[:, 0].tolist() == [1, 1, 0, 0, 1, 1]


def test_what_is_stored_is_read_as_it_was() -> None:
    meter = Meter(0)
    meter.add(0, np.arange(2 * BLOCK, dtype=np.int16))
    found = meter.cut(2 * BLOCK)
    read = Metered.of(found.peak_bytes, found.energy_bytes)
    assert np.array_equal(read.peaks, found.peaks)
    assert np.array_equal(read.energies, found.energies)
