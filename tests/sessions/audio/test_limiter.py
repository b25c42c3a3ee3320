"""The limiter: its ceiling between the samples too, and the same in any pieces."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sessions.audio.limiter import (
    SIDE,
    STEP,
    LimitedEnergies,
    Limiter,
    amplitude,
    true_peaks,
)

CEILING = amplitude(-1.5)
RANDOM = np.random.default_rng(11)


def bursts() -> NDArray[np.float32]:
    """0.4 s of low noise in spurts, the loudest 9 dB over the ceiling."""
    noise = np.convolve(RANDOM.normal(0, 1, 19_300), np.hanning(24), "same")
    envelope = np.abs(np.sin(np.arange(len(noise)) / 1_500)) ** 4
    sound = noise / np.abs(noise).max() * envelope * CEILING * 2.8
    return np.asarray(sound, dtype=np.float32)


SOUND = bursts()


def limited(*pieces: NDArray[np.float32], gain: float = 1.0) -> NDArray[np.float32]:
    limiter = Limiter(gain=gain)
    parts = [limiter.push(piece) for piece in pieces]
    return np.concatenate([*parts, limiter.flush()])


def oversampled(pcm: NDArray[np.float32]) -> NDArray[np.float64]:
    """Sixteen times the rate, by Fourier."""
    spectrum = np.fft.rfft(pcm.astype(np.float64))
    return np.fft.irfft(spectrum, 16 * len(pcm)) * 16


def test_no_peak_passes_the_ceiling_not_even_between_samples() -> None:
    assert np.abs(oversampled(SOUND)).max() > 2 * CEILING
    peak = np.abs(oversampled(limited(SOUND))).max()
    assert CEILING * 0.95 < peak < amplitude(-1.4)


def test_peaks_between_samples_are_found() -> None:
    """12 kHz at 45 degrees: the samples reach 3 dB less than the wave."""
    wave = np.sin(np.arange(48 + 2 * SIDE) * np.pi / 2 + np.pi / 4).astype(np.float32)
    assert true_peaks(wave)[0] == pytest.approx(1.0, abs=0.02)
    assert true_peaks(wave, reach=0.8)[0] == pytest.approx(0.707, abs=0.01)


def test_what_stays_below_the_ceiling_is_not_touched() -> None:
    quiet = SOUND / np.float32(4)
    assert np.array_equal(limited(quiet), quiet)
    assert np.array_equal(limited(quiet, gain=1.25), quiet * np.float32(1.25))


@pytest.mark.parametrize("size", [1_000, 48, 7_777, 53])
def test_pieces_of_any_size_give_the_same_samples(size: int) -> None:
    pieces = [SOUND[at : at + size] for at in range(0, len(SOUND), size)]
    apart = limited(*pieces, gain=1.3) - limited(SOUND, gain=1.3)
    assert np.abs(apart).max() < 1e-6


def test_it_delays_nothing_and_loses_nothing() -> None:
    for length in (0, 1, 47, 48, 49, 300, 500):
        assert len(limited(SOUND[:length])) == length
    edge = np.zeros(STEP * 20, np.float32)
    edge[[0, -1]] = 0.5
    assert np.array_equal(limited(edge), edge)


def test_a_peak_is_awaited_and_let_go_gently() -> None:
    steady = np.full(48 * 600, 0.1, np.float32)
    steady[48 * 100] = 3.0
    gain = limited(steady) / steady
    assert gain[48 * 93] == 1
    assert gain[48 * 100] <= CEILING / 2.9
    assert np.abs(np.diff(gain)).max() < 0.004  # no step: 0.8 dB per ms
    assert gain[48 * 113] == pytest.approx(1 - 0.72 / np.e, abs=0.05)
    assert gain[-1] > 0.999


def test_what_the_limiter_leaves_is_known_without_the_sound() -> None:
    sound = SOUND[: 48 * 400]
    by_step = sound.reshape(-1, STEP)
    limited_energies = LimitedEnergies(per=100)
    known = limited_energies(
        np.square(by_step).mean(axis=1), np.abs(by_step).max(axis=1) / CEILING
    )
    known = np.append(known, limited_energies.rest())
    left = np.square(limited(sound).reshape(4, -1)).mean(axis=1)
    assert len(known) == 4
    assert known == pytest.approx(left, rel=0.03)
    assert (known < 0.8 * np.square(sound.reshape(4, -1)).mean(axis=1)).any()
