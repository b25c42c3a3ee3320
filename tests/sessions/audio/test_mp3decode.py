"""Reading tracks back: places, windows, seams, and files that are not what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from sessions.audio.lame import Lame
from sessions.audio.mp3decode import (
    DELAY,
    FRAME,
    FRAME_BYTES,
    SILENT,
    ForeignTrackError,
    Piece,
    TrackReader,
    audible,
)
from sessions.audio.mp3decoders import Decoder, FFmpeg, Mpg123, best_decoder

SECOND = 48_000


def spurts() -> NDArray[np.int16]:
    """3 s: two bursts of low noise with digital silence around them."""
    sound = np.random.default_rng(3).normal(0, 1, 3 * SECOND)
    sound = np.convolve(sound, np.hanning(40) / 6, "same") * 3_000
    sound[: SECOND // 2] = sound[SECOND : 3 * SECOND // 2] = sound[-SECOND // 2 :] = 0
    return sound.astype(np.int16)


def encoded(pcm: NDArray[np.int16]) -> bytes:
    lame = Lame(64)
    return lame.encode(pcm) + lame.finish()


PCM = spurts()
MP3 = encoded(PCM)
FRAMES = len(MP3) // FRAME_BYTES


def all_decoded(mp3: bytes) -> NDArray[np.float32]:
    """Every frame through FFmpeg, none left out; the first sample is position 0."""
    codec: Any = av.CodecContext.create("mp3float", "r")
    parts = [
        frame.to_ndarray()[0]
        for at in range(0, len(mp3), FRAME_BYTES)
        for frame in codec.decode(av.Packet(mp3[at : at + FRAME_BYTES]))
    ]
    return np.concatenate(parts)[DELAY:]


WHOLE = all_decoded(MP3)
LSB = 1 / 32_768


def decoders() -> list[type[Decoder]]:
    """Those that are here: libmpg123 is optional."""
    return [Mpg123, FFmpeg] if isinstance(best_decoder(), Mpg123) else [FFmpeg]


def of(*pieces: Piece) -> TrackReader:
    return TrackReader(pieces)


@pytest.mark.parametrize("decoder", decoders())
def test_leaving_silent_frames_out_changes_no_sample(decoder: type[Decoder]) -> None:
    track = TrackReader([Piece(MP3)], decoder=decoder())
    assert np.abs(track.window(0, len(WHOLE)) - WHOLE).max() < LSB / 4
    assert not audible(np.frombuffer(MP3, np.uint8).reshape(-1, FRAME_BYTES)).all()


def test_sound_stands_where_it_was_recorded() -> None:
    read = of(Piece(MP3)).window(0, len(PCM))
    best = max(range(-3, 4), key=lambda lag: float(np.roll(read, lag) @ PCM))
    assert best == 0
    assert np.square(read - PCM * LSB).sum() < 0.02 * np.square(PCM * LSB).sum()


def test_a_window_anywhere_is_the_same_sound() -> None:
    track = of(Piece(MP3))
    for start, stop in [(30_000, 30_001), (23_999, 50_000), (100_000, 101_500)]:
        found = track.window(start, stop)
        assert np.abs(found - WHOLE[start:stop]).max() < LSB / 4


def test_chunks_read_like_the_unbroken_track(tmp_path: Path) -> None:
    cut = 31 * FRAME_BYTES  # in the middle of a burst
    first, second = tmp_path / "0.mp3", tmp_path / "1.mp3"
    first.write_bytes(MP3[:cut])
    second.write_bytes(MP3[cut:])
    track = of(Piece(second, first_frame=31), Piece(first))
    assert np.abs(track.window(0, len(WHOLE)) - WHOLE).max() < LSB / 4


def test_a_fragment_stands_at_its_first_frame_behind_its_header() -> None:
    later = of(Piece(SILENT + MP3, first_frame=100, header_frames=1))
    shift = 100 * FRAME
    assert later.end_frame == 100 + FRAMES
    assert np.abs(later.window(shift, shift + 40_000) - WHOLE[:40_000]).max() < LSB / 4
    assert not later.window(0, shift - DELAY).any()


def test_outside_the_track_and_in_its_holes_is_silence() -> None:
    track = of(Piece(MP3, first_frame=10), Piece(MP3, first_frame=500))
    assert not track.window(300 * FRAME, 450 * FRAME).any()
    assert not track.window(10_000 * FRAME, 10_002 * FRAME).any()
    assert not of().window(0, 100).any()


def test_silence_is_not_handed_out_at_all() -> None:
    sounds = list(of(Piece(MP3)).sounds(0, len(PCM)))
    assert 2 <= len(sounds) <= 3
    assert sum(len(sound) for _, sound in sounds) < 2 * SECOND
    assert not list(of(Piece(SILENT * 2_000)).sounds(0, 2_000 * FRAME))


def test_a_damaged_frame_is_silence_in_its_place() -> None:
    damaged = bytearray(MP3)
    damaged[30 * FRAME_BYTES : 31 * FRAME_BYTES] = b"\x17" * FRAME_BYTES
    track = of(Piece(bytes(damaged)))
    read = track.window(0, len(WHOLE))
    assert track.damaged_frames == 1
    after = 32 * FRAME
    assert np.abs(read[after:] - WHOLE[after:]).max() < LSB / 4
    assert not read[30 * FRAME + 480 : 31 * FRAME - DELAY].any()


@pytest.mark.parametrize("decoder", decoders())
def test_hostile_frames_neither_move_the_rest_nor_deafen(
    decoder: type[Decoder],
) -> None:
    frames = np.frombuffer(MP3, np.uint8).reshape(-1, FRAME_BYTES).copy()
    random = np.random.default_rng(5)
    frames[25:33, 6:] = random.integers(0, 256, (8, FRAME_BYTES - 6))
    track = TrackReader([Piece(frames.tobytes())], decoder=decoder())
    read = track.window(0, len(WHOLE))
    assert np.abs(read).max() <= 2
    assert np.abs(read[35 * FRAME :] - WHOLE[35 * FRAME :]).max() < LSB / 4


def test_a_cut_off_last_frame_is_left_out() -> None:
    track = of(Piece(MP3[: 31 * FRAME_BYTES - 7]))
    assert track.end_frame == 30
    assert np.abs(track.window(0, 28 * FRAME) - WHOLE[: 28 * FRAME]).max() < LSB / 4


@pytest.mark.parametrize(
    "content", [b"RIFF" + bytes(9_000), b"ID3\x04" + MP3, MP3[5:], bytes(192)]
)
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "track.mp3"
    path.write_bytes(content)
    with pytest.raises(ForeignTrackError):
        TrackReader([Piece(path)])


def test_an_empty_file_is_an_empty_track(tmp_path: Path) -> None:
    path = tmp_path / "track.mp3"
    path.write_bytes(b"")
    assert not of(Piece(path)).window(0, SECOND).any()
