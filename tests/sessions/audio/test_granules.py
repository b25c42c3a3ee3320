"""Granules, measured while the sound goes by: as the decoder would find them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from sessions.audio.encode import TrackEncoder
from sessions.audio.granules import GRANULE, Granules
from sessions.audio.meter import Meter
from sessions.audio.mp3decode import Piece, TrackReader
from sessions.audio.mp3frames import FRAME_SAMPLES

SECOND = 48_000
FIRST = 7
"""The frame of the session in which the track begins."""
START = FIRST * FRAME_SAMPLES


def hum(seconds: float, *, level: float = 0.2) -> NDArray[np.int16]:
    """Tones of a voice's band, louder and quieter five times a second."""
    when = np.arange(int(seconds * SECOND)) / SECOND
    tones = sum(np.sin(2 * np.pi * hz * when) / 3 for hz in (210, 640, 1_700))
    shape = 1.2 + np.sin(2 * np.pi * 5 * when)
    return np.asarray(tones * shape * level * 16_384, np.int16)


def encoded(pcm: NDArray[np.int16]) -> TrackReader:
    encoder = TrackEncoder(first_frame=FIRST)
    mp3 = encoder.put(START, pcm) + encoder.finish()
    return TrackReader([Piece(mp3, first_frame=FIRST)])


def heard(pcm: NDArray[np.int16]) -> Granules:
    """By a meter, in uneven pieces and cut twice."""
    meter, parts = Meter(START), []
    edges = [0, 5_000, 61_000, 61_007, 200_000, len(pcm)]
    for begin, end in pairwise(edges):
        meter.add(START + begin, pcm[begin:end])
        if begin in (5_000, 61_000):
            meter.cut(START + end)
            parts.append(meter.granules())
    meter.flush()
    return Granules.joined([meter.granules(), *parts])


@pytest.mark.pure
def test_a_granule_holds_what_is_heard_of_it() -> None:
    pcm = np.zeros(4 * GRANULE, np.int16)
    pcm[2 * GRANULE + 100] = 16_384
    meter = Meter(0)
    meter.add(0, pcm)
    meter.flush()
    found = meter.granules().within(0, 10)
    (at,) = np.flatnonzero(found.peaks)
    assert 576 * at - 1105 <= 2 * GRANULE + 100 < 576 * (at + 1) - 1105
    assert found.peaks[at] == 0.5


@pytest.mark.pure
def test_pieces_and_cuts_anywhere_measure_the_same() -> None:
    pcm = hum(6)
    meter = Meter(START)
    meter.add(START, pcm)
    meter.flush()
    whole, pieces = meter.granules(), heard(pcm)
    assert whole.first == pieces.first
    assert pieces.energies == pytest.approx(whole.energies, rel=1e-3, abs=1e-9)
    assert np.array_equal(pieces.peaks, whole.peaks)


@pytest.mark.pure
def test_beyond_what_is_known_there_is_silence() -> None:
    known = Granules(5, np.ones(3, np.float32), np.ones(3, np.float32))
    assert known.within(3, 10).energies.tolist() == [0, 0, 1, 1, 1, 0, 0]
    assert known.within(6, 8).peaks.tolist() == [1, 1]
    assert not known.within(100, 102).peaks.any()


@pytest.mark.pure
def test_what_is_written_is_read_and_what_is_damaged_is_refused() -> None:
    known = heard(hum(5))
    data = known.to_bytes()
    read = Granules.of(data)
    assert read.first == known.first
    assert np.array_equal(read.energies, known.energies)
    assert np.array_equal(read.peaks, known.peaks)
    for broken in (b"", data[:10], data[:-9], data + b"x", bytes(len(data))):
        with pytest.raises(ValueError, match=r"short|long|checksum"):
            Granules.of(broken)
    torn = bytearray(data)
    torn[len(data) // 2] ^= 1
    with pytest.raises(ValueError, match="checksum"):
        Granules.of(bytes(torn))
