"""Files of a track: every one decodes to the track's own sound, at its own sample."""

from __future__ import annotations

import io
import struct
import wave

import av
import numpy as np
import pytest
from decoding import as_floats
from numpy.typing import NDArray

from sessions.audio import formats
from sessions.audio.encode import TrackEncoder
from sessions.audio.formats import FORMATS
from sessions.audio.mp3decode import Frames, Piece, TrackReader

SECOND = 48_000
START = SECOND + 777
LENGTH = 9 * SECOND // 4
END = START + LENGTH


def speechlike() -> NDArray[np.int16]:
    """Noise in bursts: no two places are alike."""
    rng = np.random.default_rng(5)
    sound = np.convolve(rng.normal(0, 1, LENGTH), np.hanning(24) / 4, "same")
    loud = np.repeat(rng.uniform(0.1, 1, 9), SECOND // 4)
    return (np.clip(sound * loud, -3, 3) * 9_000).astype(np.int16)


def a_track() -> TrackReader:
    encoder = TrackEncoder(first_frame=START // 1152)
    data = encoder.put(START, speechlike()) + encoder.finish()
    return TrackReader([Piece(data, START // 1152)])


TRACK = a_track()
WINDOWS = [
    (0, END),
    (START, END),
    (START + 1, START + SECOND),
    (1, 2_000),
    (START + 12_345, START + 98_765),
    (END - 500, END + SECOND),
]


def made(suffix: str, start: int, stop: int) -> bytes:
    return b"".join(FORMATS[suffix].encode(TRACK, start, stop))


@pytest.mark.parametrize(("start", "stop"), WINDOWS)
@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_lossless_files_are_the_window_rounded(
    suffix: str, start: int, stop: int
) -> None:
    heard = as_floats(made(suffix, start, stop))
    # libmpg123's floats differ in the last bits by where it stood in its ring.
    assert np.abs(heard - TRACK.window(start, stop)).max() < 0.501 / 32768


@pytest.mark.parametrize(("start", "stop"), WINDOWS)
def test_a_cut_mp3_begins_and_ends_at_the_sample(start: int, stop: int) -> None:
    heard = as_floats(made("mp3", start, stop))
    assert len(heard) == stop - start
    assert np.abs(heard - TRACK.window(start, stop)).max() < 2 / 32768


@pytest.mark.parametrize(("start", "stop"), WINDOWS)
def test_opus_is_as_long_as_the_window_and_in_step(start: int, stop: int) -> None:
    heard = as_floats(made("opus", start, stop))
    truth = TRACK.window(start, stop)
    assert len(heard) == len(truth)
    if not truth.any():
        assert np.abs(heard).max() < 1e-3
    elif np.count_nonzero(truth) > SECOND // 2:
        room = 1 << 18  # a power of two, twice as long: no lag meets another
        alike = np.fft.rfft(heard, room) * np.conj(np.fft.rfft(truth, room))
        assert int(np.argmax(np.fft.irfft(alike, room))) == 0
        assert np.corrcoef(heard, truth)[0, 1] > 0.8


@pytest.mark.parametrize("suffix", ["wav", "mp3"])
def test_lengths_are_known_before(suffix: str) -> None:
    for start, stop in WINDOWS:
        assert FORMATS[suffix].size(start, stop) == len(made(suffix, start, stop))


def test_a_flac_says_how_long_it_is() -> None:
    with av.open(io.BytesIO(made("flac", START, END))) as container:
        assert container.streams.audio[0].duration == END - START


def test_blocks_leave_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = TRACK.window(0, END)
    frames = made("mp3", 0, END)
    monkeypatch.setattr(formats, "BLOCK", 4608)
    monkeypatch.setattr(formats, "MP3_BLOCK", 7)
    for suffix in ("wav", "flac"):
        assert np.abs(as_floats(made(suffix, 0, END)) - whole).max() < 0.501 / 32768
    assert made("mp3", 0, END) == frames


def test_a_wav_reads_in_the_standard_library() -> None:
    with wave.open(io.BytesIO(made("wav", START, END))) as file:
        assert file.getparams()[:4] == (1, 2, 48_000, END - START)


def test_a_wav_beyond_4_gib_is_an_rf64() -> None:
    samples = 13 * 3600 * SECOND
    head = formats._wav_header(samples)
    assert head[:4] == b"RF64"
    assert struct.unpack_from("<QQQ", head, 20) == (
        len(head) - 8 + 2 * samples,
        2 * samples,
        samples,
    )


class Counted:
    """A track of hours that says how much of it was asked for at once."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def window(self, start: int, stop: int) -> NDArray[np.float32]:
        self.asked.append(stop - start)
        return np.zeros(stop - start, np.float32)

    def frames(self, first: int, end: int) -> Frames:
        self.asked.append((end - first) * 1152)
        return TRACK.frames(first, end)


@pytest.mark.parametrize("suffix", FORMATS)
def test_hours_are_asked_for_in_pieces(suffix: str) -> None:
    counted = Counted()
    pieces = FORMATS[suffix].encode(counted, 0, 3600 * SECOND)
    for _ in range(4):
        assert len(next(pieces)) < 1_000_000
    assert 0 < max(counted.asked) <= 100 * SECOND
    assert len(counted.asked) <= 5
