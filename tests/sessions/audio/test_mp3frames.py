"""The arithmetic of MP3 frames: time is bytes, and damage keeps its time."""

from __future__ import annotations

import struct
from functools import cache

import numpy as np
import pytest
from babble import babble

from sessions.audio import mp3frames
from sessions.audio.lame import Lame
from sessions.audio.mp3frames import (
    DELAY,
    FRAME_SAMPLES,
    BrokenFrameError,
    first_frame_of,
    frame_bytes,
    frames_for,
    info_frame,
    is_info,
    is_silent,
    joined,
    repaired,
    samples_in,
    silent_frame,
    silent_mask,
    whole_frames,
    without_info,
)

SIZE = 192


@cache
def stream() -> bytes:
    """Forty frames: speech, and silence at the end."""
    sound = babble(40 * FRAME_SAMPLES)
    sound[-15 * FRAME_SAMPLES :] = 0
    return Lame().encode(sound)


def frame(number: int) -> bytes:
    return stream()[number * SIZE : (number + 1) * SIZE]


def silenced(*numbers: int) -> bytes:
    """The stream with these frames silent."""
    count = len(stream()) // SIZE
    silent = silent_frame()
    return b"".join(silent if at in numbers else frame(at) for at in range(count))


def test_a_frame_is_24_ms_of_bytes() -> None:
    assert (frame_bytes(64), frame_bytes(128)) == (192, 384)
    with pytest.raises(ValueError, match="77"):
        frame_bytes(77)


def test_a_position_lies_in_its_frame() -> None:
    assert [first_frame_of(at) for at in (0, 1151, 1152)] == [0, 0, 1]


def test_a_decoders_delay_is_counted_in_frames() -> None:
    assert [frames_for(n) for n in (1, 1199, 1200)] == [2, 2, 3]
    assert samples_in(frames_for(1199)) == 1199


@pytest.mark.parametrize("bitrate", [64, 128])
def test_lames_silent_frame_is_ours_but_for_its_name(bitrate: int) -> None:
    size = frame_bytes(bitrate)
    lames = Lame(bitrate).encode(np.zeros(48_000, np.int16))[-size:]
    ours = silent_frame(bitrate)
    assert is_silent(lames)
    assert is_silent(ours)
    assert lames[:4] == ours[:4]
    assert whole_frames(ours + lames, bitrate_kbps=bitrate) == ours + lames


def test_silence_is_told_from_sound_frame_by_frame_and_at_once() -> None:
    one_by_one = [is_silent(frame(at)) for at in range(39)]
    assert one_by_one == silent_mask(stream()).tolist()
    assert not any(one_by_one[2:20])
    assert all(one_by_one[-10:])


def test_an_unfinished_frame_is_cut() -> None:
    assert whole_frames(stream()[:-1]) == stream()[:-SIZE]
    assert whole_frames(b"") == b""


@pytest.mark.parametrize(
    "damage",
    [
        (0, b"\x00"),  # no header
        (2, b"\x94"),  # 128 kbit/s
        (3, b"\x44"),  # joint stereo
        (4, b"\x01"),  # needs the frame before
        (6, b"\x3f\xff"),  # holds more than it has room for
    ],
)
def test_a_frame_that_is_not_of_this_kind_is_named(damage: tuple[int, bytes]) -> None:
    at, wrong = damage
    data = bytearray(stream())
    data[5 * SIZE + at : 5 * SIZE + at + len(wrong)] = wrong
    with pytest.raises(BrokenFrameError, match=r"frame 5 \(byte 960\)"):
        whole_frames(bytes(data))


def test_a_whole_stream_needs_no_repair() -> None:
    assert repaired(stream()) == stream()


def test_a_broken_frame_in_the_middle_becomes_silence() -> None:
    data = bytearray(stream())
    data[5 * SIZE : 5 * SIZE + 3] = b"???"
    assert repaired(bytes(data)) == silenced(5)


def test_a_page_never_written_becomes_silence() -> None:
    data = bytearray(stream())
    data[5 * SIZE + 100 : 9 * SIZE + 50] = bytes(4 * SIZE - 50)
    assert repaired(bytes(data)) == silenced(5, 6, 7, 8, 9)


@pytest.mark.parametrize("lost", [1, 100, 193, 500])
def test_where_bytes_were_lost_the_fewest_silent_frames_explain_it(lost: int) -> None:
    begin, end = 5 * SIZE + 60, 5 * SIZE + 60 + lost
    after = -(-end // SIZE) * SIZE
    left = 60 + after - end
    torn = silent_frame() * -(-left // SIZE)
    kept = repaired(stream()[:begin] + stream()[end:])
    assert kept == stream()[: 5 * SIZE] + torn + stream()[after:]


def test_what_is_broken_at_the_end_is_cut() -> None:
    assert repaired(stream()[: 9 * SIZE] + b"?" * 500) == stream()[: 9 * SIZE]
    assert repaired(stream()[: 9 * SIZE + 70] + bytes(4096)) == stream()[: 9 * SIZE]


@pytest.mark.parametrize(
    "foreign", [b"", b"\xff", b"RIFF" * 1000, bytes(9999), b"\xff\xfb\x54\xc4" * 99999]
)
def test_what_was_never_ours_gives_nothing(foreign: bytes) -> None:
    assert repaired(foreign) == b""


def test_random_damage_never_moves_the_rest() -> None:
    rng = np.random.default_rng(2)
    for _ in range(50):
        data = bytearray(stream())
        broken = set(rng.choice(30, 4, replace=False).tolist())
        for number in broken:
            data[number * SIZE] ^= int(rng.integers(1, 256))
        assert repaired(bytes(data)) == silenced(*broken)


def test_the_info_frame_says_delay_padding_frames_and_bytes() -> None:
    frame = info_frame(100, bitrate_kbps=64, samples=100 * FRAME_SAMPLES - DELAY - 71)
    assert len(frame) == SIZE
    assert frame[21:25] == b"Info"
    assert struct.unpack(">III", frame[25:37]) == (15, 100, 101 * SIZE)
    assert frame[141:150] == b"LAME3.100"
    assert int.from_bytes(frame[162:165]) == 576 << 12 | 529 + 71
    assert struct.unpack(">I", frame[169:173]) == (101 * SIZE,)


def test_the_info_frames_seek_table_is_the_line_it_should_be() -> None:
    table = info_frame(10_000, bitrate_kbps=64)[37:137]
    assert max(abs(at - share * 2.56) for share, at in enumerate(table)) < 1.1


def test_the_tags_checksum_is_the_one_of_its_standard() -> None:
    frame = info_frame(100, bitrate_kbps=64)
    assert mp3frames._crc16(b"123456789") == 0xBB3D  # CRC-16/ARC's check value
    assert mp3frames._crc16(frame[:175]) == int.from_bytes(frame[175:177])


@pytest.mark.parametrize("samples", [100 * FRAME_SAMPLES, 90 * FRAME_SAMPLES])
def test_a_length_the_frames_cannot_have_is_refused(samples: int) -> None:
    with pytest.raises(ValueError, match="100 frames"):
        info_frame(100, bitrate_kbps=64, samples=samples)


def test_pieces_are_joined_behind_one_info_frame() -> None:
    file = joined([stream()[: 7 * SIZE], stream()[7 * SIZE :]])
    assert is_info(file)
    assert without_info(file) == stream()
    assert without_info(stream()) == stream()


def test_a_join_drops_the_frames_behind_its_length_and_fills_what_lacks() -> None:
    long = joined([stream()], samples=10_000)
    assert without_info(long) == stream()[: frames_for(10_000) * SIZE]
    short = joined([stream()[: 3 * SIZE]], samples=10_000)
    missing = frames_for(10_000) - 3
    assert without_info(short) == stream()[: 3 * SIZE] + silent_frame() * missing


def test_a_piece_that_ends_within_a_frame_is_refused() -> None:
    with pytest.raises(BrokenFrameError, match="within"):
        joined([stream()[:100]])
