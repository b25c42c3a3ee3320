"""Loudness: against EBU's figures, and against FFmpeg's meter elsewhere."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from sessions.audio.loudness import BLOCK, LoudnessMeter, integrated

RATE = 48_000


def tone(level_dbfs: float, seconds: float) -> NDArray[np.float32]:
    """1 kHz at this peak level."""
    when = np.arange(int(seconds * RATE)) / RATE
    wave = 10 ** (level_dbfs / 20) * np.sin(2 * np.pi * 1000 * when)
    return wave.astype(np.float32)


def energies(*pieces: tuple[int, NDArray[np.float32]]) -> NDArray[np.float32]:
    """What a meter makes of pieces at positions."""
    meter = LoudnessMeter()
    for position, pcm in pieces:
        meter.add(position, pcm)
    return meter.energies()


def test_a_full_scale_sine_is_at_minus_3_lufs() -> None:
    # BS.1770-4, section 1: 0 dBFS at 997 Hz reads -3.01.
    assert integrated(energies((0, tone(0, 2)))) == pytest.approx(-3.01, abs=0.05)


def test_what_is_far_below_the_rest_is_gated_out() -> None:
    """EBU Tech 3341, case 3, in one channel and shorter: quiet, loud, quiet."""
    parts = np.concatenate([tone(-36, 4), tone(-23, 16), tone(-36, 4)])
    assert integrated(energies((0, parts))) == pytest.approx(-26.0, abs=0.1)


def test_silence_has_no_loudness() -> None:
    assert integrated(np.zeros(100, np.float32)) is None
    assert integrated(np.zeros(0, np.float32)) is None
    assert integrated(energies((0, tone(-90, 1)))) is None


def test_a_gap_counts_like_zeros() -> None:
    before, after = tone(-20, 1.03), tone(-25, 0.71)
    gap = np.zeros(30_007, np.float32)
    written = energies((0, np.concatenate([before, gap, after])))
    left_out = energies((0, before), (len(before) + len(gap), after))
    assert left_out == pytest.approx(written, rel=2e-4, abs=1e-12)


def test_pieces_of_any_size_give_the_same_energies() -> None:
    sound = tone(-20, 0.7)
    edges = [0, 1, 960, 4_799, 4_800, 9_000, 20_001, len(sound)]
    pieces = [(a, sound[a:b]) for a, b in pairwise(edges)]
    assert energies(*pieces) == pytest.approx(energies((0, sound)), rel=2e-4)


def test_energies_are_handed_out_once_at_a_cut() -> None:
    meter = LoudnessMeter()
    meter.add(0, tone(-20, 0.75))
    first = meter.energies(until=5 * BLOCK)
    meter.add(36_000, tone(-20, 0.35))
    second = meter.energies()
    assert (len(first), len(second)) == (5, 6)
    whole = energies((0, np.concatenate([tone(-20, 0.75), tone(-20, 0.35)])))
    assert np.concatenate([first, second]) == pytest.approx(whole, rel=2e-4)


def test_a_track_that_starts_late_begins_its_energies_there() -> None:
    meter = LoudnessMeter(start=48_000)
    meter.add(48_000 + 2 * BLOCK, tone(-20, 0.2))
    found = meter.energies(until=48_000 + 10 * BLOCK)
    assert len(found) == 10
    assert found[:2].tolist() == [0, 0]
    assert found[2] > 0.001


def test_what_overlaps_the_last_piece_is_left_out() -> None:
    sound = tone(-20, 0.2)
    assert energies((0, sound), (4_800, sound[4_800:])) == pytest.approx(
        energies((0, sound))
    )
