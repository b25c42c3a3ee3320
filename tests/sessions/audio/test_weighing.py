"""Energies by matrices: those of the filter itself, in any pieces."""

from __future__ import annotations

import numpy as np
import pytest

from sessions.audio.weighing import K_WEIGHTING, STEP, Weighing

RANDOM = np.random.default_rng(3)
SOUND = RANDOM.normal(0.01, 0.1, 1_234 * STEP).astype(np.float32)


def test_the_energies_are_those_of_the_filter() -> None:
    sound = SOUND[: 60 * STEP].astype(np.float64)
    for b0, b1, b2, _, a1, a2 in K_WEIGHTING.tolist():
        weighted, first, second = [], 0.0, 0.0
        for sample in sound.tolist():
            weighted.append(b0 * sample + first)
            first = b1 * sample - a1 * weighted[-1] + second
            second = b2 * sample - a2 * weighted[-1]
        sound = np.array(weighted)
    expected = np.square(sound.reshape(-1, STEP)).mean(axis=1)
    assert Weighing()(SOUND)[:60] == pytest.approx(expected, rel=1e-3)


def test_pieces_are_weighed_as_the_whole() -> None:
    weigh = Weighing()
    pieces = np.split(SOUND, [STEP, 7 * STEP, 700 * STEP, 700 * STEP])
    found = np.concatenate([weigh(piece) for piece in pieces])
    assert found == pytest.approx(Weighing()(SOUND), rel=1e-3)
    weigh.reset()
    assert weigh(SOUND[:STEP]) == pytest.approx(found[:1])
