"""Sound that went through the track's encoder, as two decoders give it back.

FFmpeg's (in PyAV) and mpg123: the truth is the PCM that was put.
"""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from babble import laid_out, scattered
from decoding import as_floats
from numpy.typing import NDArray

from sessions.audio import lame, mp3frames
from sessions.audio.encode import TrackEncoder
from sessions.audio.lame import Lame
from sessions.audio.mp3frames import (
    DELAY,
    FRAME_SAMPLES,
    first_frame_of,
    frame_bytes,
    frames_for,
    info_frame,
    joined,
    repaired,
    silent_frame,
    without_info,
)

Decoder = Callable[[bytes], NDArray[np.float64]]
SIZE = frame_bytes(64)
SAMPLES = 10 * 48_000 + 777


def by_ffmpeg(file: bytes) -> NDArray[np.float64]:
    return as_floats(file).astype(np.float64) * 32_768


def by_mpg123(file: bytes) -> NDArray[np.float64]:
    command = ["mpg123", "-q", "--stdout", "--encoding", "f32", "--mono", "-"]
    done = subprocess.run(command, input=file, capture_output=True, check=True)
    assert done.stderr == b""
    return np.frombuffer(done.stdout, np.float32).astype(np.float64) * 32_768


decoders = pytest.mark.parametrize("decode", [by_ffmpeg, by_mpg123])


@cache
def truth() -> NDArray[np.int16]:
    return laid_out(
        scattered(SAMPLES, gaps=(500, 60_000), bursts=(3000, 90_000)), SAMPLES
    )


@cache
def stream() -> bytes:
    track = TrackEncoder(first_frame=0)
    return track.put(0, truth()) + track.finish()


def lag(heard: NDArray[np.float64], said: NDArray[np.int16]) -> int:
    """By how many samples `heard` is late: the peak of the cross-correlation."""
    size = 1 << (len(heard) + len(said)).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.fft.rfft(said, size).conj()
    at = int(np.fft.irfft(spectrum).argmax())
    return at if at < size // 2 else at - size


def snr_db(heard: NDArray[np.float64], said: NDArray[np.int16]) -> float:
    power = float(np.square(said, dtype=np.float64).sum())
    return 10 * float(np.log10(power / np.square(heard - said).sum()))


@decoders
def test_a_joined_file_has_every_sample_where_it_was(decode: Decoder) -> None:
    heard = decode(joined([stream()], samples=SAMPLES))
    assert len(heard) == SAMPLES
    assert lag(heard, truth()) == 0
    assert snr_db(heard, truth()) > 20


@decoders
@pytest.mark.parametrize("samples", [1, 47, 48, 1152, 1199, 1200, 5000])
def test_a_short_file_has_exactly_its_samples(decode: Decoder, samples: int) -> None:
    assert len(decode(joined([stream()], samples=samples))) == samples


@decoders
def test_a_file_at_128_kbit_has_every_sample_where_it_was(decode: Decoder) -> None:
    track = TrackEncoder(first_frame=0, bitrate_kbps=128)
    frames = track.put(0, truth()) + track.finish()
    heard = decode(joined([frames], samples=SAMPLES, bitrate_kbps=128))
    assert len(heard) == SAMPLES
    assert lag(heard, truth()) == 0
    assert snr_db(heard, truth()) > 25


@decoders
def test_every_frame_is_whole_by_itself(decode: Decoder) -> None:
    """A thousand cuts, joined again, are the stream; and a piece that is played alone
    is the stream too, from where the frame before the cut is forgotten."""
    rng = np.random.default_rng(3)
    count = len(stream()) // SIZE
    cuts = np.sort(rng.integers(0, count, 1000)) * SIZE
    pieces = [stream()[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)]
    assert b"".join(pieces) == stream()
    assert without_info(joined(pieces)) == stream()
    whole = decode(stream())
    assert len(whole) == count * FRAME_SAMPLES
    begin = count // 2
    alone = decode(stream()[begin * SIZE : (begin + 100) * SIZE])
    part = whole[begin * FRAME_SAMPLES :][: len(alone)]
    assert np.abs(alone - part)[DELAY:].max() < 0.01


@decoders
def test_damage_is_silence_and_nothing_moves(decode: Decoder) -> None:
    damaged = bytearray(stream())
    for frame in (100, 101, 200):
        damaged[frame * SIZE : frame * SIZE + 4] = b"\0\0\0\0"
    damaged[250 * SIZE + 77 : 270 * SIZE + 5] = bytes(20 * SIZE - 72)
    file = joined([repaired(bytes(damaged[:-50]))], samples=SAMPLES)
    heard, whole = decode(file), decode(joined([stream()], samples=SAMPLES))
    assert len(heard) == SAMPLES
    differs = np.flatnonzero(np.abs(heard - whole) > 0.01)
    touched = set((differs // FRAME_SAMPLES).tolist())
    near = {*range(98, 104), *range(198, 203), *range(248, 273)}
    assert touched <= near | {SAMPLES // FRAME_SAMPLES}
    assert lag(heard, truth()) == 0


@decoders
def test_a_stream_cut_anywhere_plays_to_its_end(decode: Decoder) -> None:
    cut = repaired(stream()[: 300 * SIZE + 99])
    heard = decode(joined([cut]))
    assert len(heard) == 300 * FRAME_SAMPLES - DELAY
    assert lag(heard, truth()[: len(heard)]) == 0


@decoders
def test_a_second_encoder_goes_on_where_the_first_was_killed(decode: Decoder) -> None:
    killed_at, back_at = 4 * 48_000 + 123, 6 * 48_000 + 456
    first = TrackEncoder(first_frame=0)
    begun = first.put(0, truth()[:killed_at])
    frame = first_frame_of(back_at) + 1
    second = TrackEncoder(first_frame=frame)
    resumed = frame * FRAME_SAMPLES
    ended = second.put(resumed, truth()[resumed:]) + second.finish()
    hole = silent_frame() * (frame - first.frames_out)
    heard = decode(joined([begun, hole, ended], samples=SAMPLES))
    assert len(heard) == SAMPLES
    kept = first.frames_out * FRAME_SAMPLES - DELAY
    assert killed_at - kept < 4000
    assert lag(heard[:kept], truth()[:kept]) == 0
    assert lag(heard[resumed:], truth()[resumed:]) == 0
    assert snr_db(heard[resumed:], truth()[resumed:]) > 20
    assert np.abs(heard[kept + DELAY : resumed - DELAY]).max() == 0


@pytest.mark.parametrize(
    "name", [lame.SYSTEM[0], lame.wheel()], ids=["system", "wheel"]
)
@pytest.mark.parametrize("bitrate", [64, 128])
def test_minutes_with_random_gaps_are_the_same_bits(name: str, bitrate: int) -> None:
    using = lame.load(name)
    samples = 90 * 48_000
    pieces = [
        *scattered(samples // 2, gaps=(1, 15_000), bursts=(1, 20_000), seed=bitrate),
        *(
            (at + samples // 2, piece)
            for at, piece in scattered(
                samples // 2, gaps=(1, 400_000), bursts=(1, 60_000), seed=bitrate + 1
            )
        ),
    ]
    track = TrackEncoder(first_frame=0, bitrate_kbps=bitrate, using=using)
    skipped = b"".join(track.put(at, piece) for at, piece in pieces)
    skipped += track.advance(samples) + track.finish()
    every = Lame(bitrate, using=using)
    assert every.encode(laid_out(pieces, samples)) + every.finish() == skipped


def test_lame_writes_the_tag_as_we_do() -> None:
    frames = frames_for(SAMPLES)
    ours = info_frame(frames, bitrate_kbps=64, samples=SAMPLES)
    theirs = lames_own_tag(truth())
    same = {
        "header and side information": slice(0, 21),
        "flags, frames and bytes": slice(21, 37),
        "the encoder's name": slice(141, 151),
        "bit rate, delay and padding": slice(161, 165),
        "the music's length": slice(169, 173),
    }
    for what, part in same.items():
        assert ours[part] == theirs[part], what
    lines = np.frombuffer(ours[37:137] + theirs[37:137], np.uint8).reshape(2, 100)
    assert np.abs(np.diff(lines.astype(int), axis=0)).max() <= 1
    assert mp3frames._crc16(theirs[:175]) == int.from_bytes(theirs[175:177])


def lames_own_tag(pcm: NDArray[np.int16]) -> bytes:
    """The Info frame LAME 3.100 itself would write before this sound."""
    lib = lame.load(lame.SYSTEM[0])
    handle = lib.lame_init()
    for name, value in {**lame._settings(64, 7), "bWriteVbrTag": 1}.items():
        getattr(lib, f"lame_set_{name}")(handle, value)
    lib.lame_init_params(handle)
    room = len(pcm) * 5 // 4 + 7200
    out = ctypes.create_string_buffer(room)
    lib.lame_encode_buffer(handle, pcm.ctypes.data, None, len(pcm), out, room)
    lib.lame_encode_flush(handle, out, room)
    lib.lame_get_lametag_frame.restype = ctypes.c_size_t
    lib.lame_get_lametag_frame.argtypes = [
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_size_t,
    ]
    written = lib.lame_get_lametag_frame(handle, out, room)
    lib.lame_close(handle)
    return ctypes.string_at(out, written)
