"""Loudness inside the bitstream: exact steps, the ceiling, silence, and the target."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from sessions.audio.lame import Lame
from sessions.audio.limiter import SIDE, amplitude, true_peaks
from sessions.audio.loudness import LoudnessMeter, integrated
from sessions.audio.mp3decode import (
    FRAME_BYTES,
    SILENT,
    Frames,
    Piece,
    TrackReader,
    audible,
)
from sessions.audio.mp3gain import STEP_DB, choose, normalised
from sessions.audio.mp3measure import measure
from sessions.audio.mp3steps import amplified

SECOND = 48_000


def talk(level: float, *, spurts: int = 4) -> NDArray[np.int16]:
    """Half-second spurts of low noise in syllables, with as much silence between."""
    count = SECOND // 2
    parts = []
    for seed in range(spurts):
        noise = np.random.default_rng(seed).normal(0, 1, count)
        noise = np.convolve(noise, np.hanning(30) / 8, "same")
        shape = np.abs(np.sin(np.arange(count) / 4_000)) * level * (1 + seed % 2)
        parts += [noise * shape * 32_768, np.zeros(count)]
    return np.concatenate(parts).clip(-32_768, 32_767).astype(np.int16)


def encoded(pcm: NDArray[np.int16]) -> bytes:
    lame = Lame(64)
    return lame.encode(pcm) + lame.finish()


def rows(mp3: bytes) -> Frames:
    return np.frombuffer(mp3, np.uint8).reshape(-1, FRAME_BYTES)


def decoded(mp3: bytes | Iterable[bytes]) -> NDArray[np.float32]:
    data = mp3 if isinstance(mp3, bytes) else b"".join(mp3)
    track = TrackReader([Piece(data)])
    return track.window(0, track.end)


def loudness(pcm: NDArray[np.float32]) -> float:
    meter = LoudnessMeter()
    meter.add(0, pcm)
    found = integrated(meter.energies())
    assert found is not None
    return found


MP3 = encoded(talk(0.05))
TRACK = TrackReader([Piece(MP3, first_frame=7)])


@pytest.mark.parametrize("steps", [-9, 1, 6])
def test_a_step_is_a_power_of_two_and_nothing_else(steps: int) -> None:
    frames = rows(MP3)
    changed = amplified(frames, np.full(2 * len(frames), steps, np.int16))
    expected = decoded(MP3) * 2 ** (steps / 4)
    apart = np.abs(decoded(changed.tobytes()) - expected).max()
    assert apart < 2e-6 * np.abs(expected).max()


def test_silent_frames_stay_as_they_are() -> None:
    frames = rows(MP3)
    changed = amplified(frames, np.full(2 * len(frames), 5, np.int16))
    silent = ~audible(frames)
    assert silent.any()
    assert np.array_equal(changed[silent], frames[silent])
    assert (changed[~silent] != frames[~silent]).any(axis=1).all()


@pytest.mark.parametrize("steps", [300, -300])
def test_a_gain_beyond_its_byte_stays_at_the_end(steps: int) -> None:
    """It must not wrap round, nor touch the fields beside it."""
    frames = rows(MP3)
    beyond = np.full(2 * len(frames), steps, np.int16)
    changed = amplified(frames, beyond)
    assert np.array_equal(amplified(changed, beyond), changed)
    apart = np.unpackbits(frames ^ changed, axis=1)[:, 32:]
    assert set(np.flatnonzero(apart.any(axis=0))) <= {*range(39, 47), *range(98, 106)}


def test_a_track_comes_to_the_loudness_that_is_wanted() -> None:
    said: list[float | None] = []

    def parts() -> Iterator[bytes]:
        said.append((yield from normalised(TRACK)))

    result = b"".join(parts())
    assert len(result) == len(MP3)
    assert loudness(decoded(result)) == pytest.approx(-16, abs=0.5)
    assert said == [pytest.approx(loudness(decoded(result)), abs=0.2)]


def test_a_loud_track_is_made_quieter() -> None:
    track = TrackReader([Piece(encoded(talk(0.5)))])
    assert loudness(decoded(normalised(track))) == pytest.approx(-16, abs=0.3)


def test_a_peak_is_kept_below_the_ceiling_and_its_neighbours_are_not() -> None:
    pcm = talk(0.04)
    pcm[60_000:60_200] = 20_000 * np.sin(np.arange(200) / 8)
    track = TrackReader([Piece(encoded(pcm))])
    result = decoded(normalised(track))
    assert true_peaks(np.pad(result, SIDE)).max() < amplitude(-1.0)
    gain = np.abs(result[96_000:]).max() / np.abs(track.window(96_000, track.end)).max()
    assert gain > 10 ** (STEP_DB * 4 / 20)


def test_silence_and_noise_stay_what_they_are() -> None:
    silence = TrackReader([Piece(SILENT * 100)])
    assert b"".join(normalised(silence)) == SILENT * 100
    assert choose(measure(silence)).loudness_lufs is None
    nothing = TrackReader([])
    assert b"".join(normalised(nothing)) == b""


def test_a_hole_comes_out_as_silent_frames() -> None:
    pieces = [Piece(MP3), Piece(MP3, first_frame=len(MP3) // FRAME_BYTES + 10)]
    result = b"".join(normalised(TrackReader(pieces)))
    assert len(result) == 2 * len(MP3) + 10 * FRAME_BYTES
    assert result[len(MP3) : len(MP3) + 10 * FRAME_BYTES] == SILENT * 10
