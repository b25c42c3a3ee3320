"""The arithmetic of MP3 frames: mono, 48 kHz, one bit rate, no bit reservoir.

Every frame is 24 ms and has the same length in bytes, so time is bytes, a cut is a
slice and a join is a sum. Owns the frame's layout (ISO/IEC 11172-3, 2.4.1), the Info
frame that tells a decoder where the sound begins and ends, and the repair of damaged
streams. It encodes and decodes nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAME_SAMPLES = 1152
ENCODER_DELAY = 576
"""LAME's ENCDELAY: the sound's first sample stands this deep in the first frame."""
DECODER_DELAY = 529
"""Every Layer III decoder's: the filter bank's 528 samples and one."""
DELAY = ENCODER_DELAY + DECODER_DELAY
"""Sample s of the sound is sample s + DELAY of what a decoder gives."""

_BITRATES = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
"""kbit/s, MPEG-1 Layer III, from bitrate_index 1 on."""
_HEADER = 4
_SIDE = 17
"""Bytes of mono side information: main_data_begin 9 bits, private 5, scfsi 4, and 59
for each granule, which begins with part2_3_length, 12 bits: how much it holds."""
_TORN = 8
"""Zero bytes at the end of a granule's sound: Huffman codes never run that long."""


class BrokenFrameError(ValueError):
    """A stream is not what this module's arithmetic is for."""


def frame_bytes(bitrate_kbps: int) -> int:
    """A frame's length: 192 at 64 kbit/s, 384 at 128. Raises ValueError."""
    if bitrate_kbps not in _BITRATES:
        raise ValueError(f"MPEG-1 Layer III has no {bitrate_kbps} kbit/s")
    return bitrate_kbps * 3


def first_frame_of(position: int) -> int:
    """The index of the session's frame that holds sample `position` at 48 kHz."""
    return position // FRAME_SAMPLES


def frames_for(samples: int) -> int:
    """How many frames a decoder needs to give `samples` after the delay.

    At least two: FFmpeg takes an Info frame and one more for no MP3 at all.
    """
    return max(2, -(-(samples + DELAY) // FRAME_SAMPLES))


def samples_in(frames: int) -> int:
    """How many samples of sound a decoder gives from `frames`: all but the delay."""
    return max(0, frames * FRAME_SAMPLES - DELAY)


@cache
def silent_frame(bitrate_kbps: int = 64) -> bytes:
    """24 ms of digital silence, built by rule: a header, and nothing in the granules.

    LAME's own silent frame decodes to the same, but names LAME's version in its
    padding, so that two versions differ.
    """
    size = frame_bytes(bitrate_kbps)
    return _header(bitrate_kbps).ljust(size, b"\0")


@cache
def _header(bitrate_kbps: int) -> bytes:
    """MPEG-1, Layer III, no CRC; 48 kHz, no padding; mono, original."""
    return bytes((0xFF, 0xFB, (_BITRATES.index(bitrate_kbps) + 1) << 4 | 0x04, 0xC4))


def is_silent(frame: bytes) -> bool:
    """Whether both granules of a frame are empty (part2_3_length is 0).

    So is the Info frame's: `without_info` comes first.
    """
    return sum(_lengths(frame)) == 0


def _lengths(frame: bytes | bytearray) -> tuple[int, int]:
    """Both granules' part2_3_length in bits."""
    side = int.from_bytes(frame[_HEADER : _HEADER + _SIDE])
    return side >> 8 * _SIDE - 30 & 0xFFF, side >> 8 * _SIDE - 89 & 0xFFF


def silent_mask(data: bytes, *, bitrate_kbps: int = 64) -> NDArray[np.bool_]:
    """`is_silent` of every whole frame of a sound stream, at once."""
    rows = _rows(data, frame_bytes(bitrate_kbps))
    first, second = _length_columns(rows)
    silent: NDArray[np.bool_] = (first | second) == 0
    return silent


def _rows(data: bytes, size: int) -> NDArray[np.uint8]:
    whole = len(data) // size
    return np.frombuffer(data, np.uint8, whole * size).reshape(whole, size)


def _length_columns(
    rows: NDArray[np.uint8],
) -> tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]]:
    """`_lengths` of every row: bits 18 to 29 and 77 to 88 of the side information."""
    side = rows[:, _HEADER : _HEADER + _SIDE].astype(np.uint16)
    first = (side[:, 2] & 0x3F) << 6 | side[:, 3] >> 2
    second = (side[:, 9] & 0x07) << 9 | side[:, 10] << 1 | side[:, 11] >> 7
    return first, second


def _good(rows: NDArray[np.uint8], bitrate_kbps: int) -> NDArray[np.bool_]:
    """Which beginnings of frames have this stream's header and a length they may have.

    The header's last byte may differ in its rights and emphasis bits.
    """
    header = np.frombuffer(_header(bitrate_kbps), np.uint8)
    first, second = _length_columns(rows)
    good: NDArray[np.bool_] = (
        (rows[:, :3] == header[:3]).all(axis=1)
        & (rows[:, 3] & 0xC0 == 0xC0)
        & (rows[:, 4] == 0)
        & (rows[:, 5] & 0x80 == 0)  # main_data_begin: nothing from frames before
        & (first + second <= 8 * (frame_bytes(bitrate_kbps) - _HEADER - _SIDE))
    )
    return good


def whole_frames(data: bytes, *, bitrate_kbps: int = 64) -> bytes:
    """`data` without an unfinished last frame.

    Raises BrokenFrameError where a frame is not of this stream's kind.
    """
    size = frame_bytes(bitrate_kbps)
    good = _good(_rows(data, size), bitrate_kbps)
    if not good.all():
        at = int(good.argmin())
        raise BrokenFrameError(f"frame {at} (byte {at * size}) is no frame of ours")
    return data[: len(good) * size]


def repaired(data: bytes, *, bitrate_kbps: int = 64) -> bytes:
    """Every good frame of a damaged stream, at its time; silence for the others.

    Behind damage a good frame on the grid is the next; off the grid, where bytes were
    lost, it takes two in a row (one at the end), and the fewest frames that explain it
    are put in their place. What is broken at the end is cut; what was never ours
    gives b"".
    """
    size = frame_bytes(bitrate_kbps)
    if len(data) % size == 0 and _good(_rows(data, size), bitrate_kbps).all():
        return data
    good = _good_anywhere(data, bitrate_kbps)
    followed = np.ones_like(good)
    followed[: max(0, len(data) - 2 * size + 1)] = good[size : len(data) - size + 1]
    pairs = np.flatnonzero(good & followed)
    out, at = bytearray(), 0
    while at < len(data):
        if good[at]:
            out += data[at : at + size]
            at += size
            continue
        found = _next_good(good, pairs, at, size)
        if out and (found < at or _is_torn(out[-size:])):
            del out[-size:]
            at -= size
        if found < len(data):
            out += silent_frame(bitrate_kbps) * -(-(found - at) // size)
        at = found
    return bytes(out)


def _good_anywhere(data: bytes, bitrate_kbps: int) -> NDArray[np.bool_]:
    """For every byte of `data`, whether a whole good frame begins there."""
    good = np.zeros(len(data), np.bool_)
    octets = np.frombuffer(data, np.uint8)
    whole = max(0, len(data) - frame_bytes(bitrate_kbps) + 1)
    at = np.flatnonzero(octets[:whole] == 0xFF)
    for place, octet in enumerate(_header(bitrate_kbps)[:3]):
        at = at[octets[at + place] == octet]
    if len(at):
        heads = sliding_window_view(octets, _HEADER + _SIDE)[at]
        good[at] = _good(heads, bitrate_kbps)
    return good


def _next_good(
    good: NDArray[np.bool_], pairs: NDArray[np.intp], at: int, size: int
) -> int:
    """Where good frames begin again when none does at `at`; the end if nowhere.

    It may be before `at`: within a frame that lost bytes.
    """
    ahead = pairs[np.searchsorted(pairs, at - size, side="right") :]
    found = int(ahead[0]) if len(ahead) else len(good)
    grid = good[at:found:size]
    return at + size * int(grid.argmax()) if grid.any() else found


def _is_torn(frame: bytes | bytearray) -> bool:
    """Whether the frame's sound ends in zeros: a page of the disk was never written."""
    sound = frame[_HEADER + _SIDE :][: -(-sum(_lengths(frame)) // 8)]
    return len(sound) > _TORN and not any(sound[-_TORN:])


def joined(
    pieces: Iterable[bytes], *, samples: int | None = None, bitrate_kbps: int = 64
) -> bytes:
    """One file of pieces of one stream: decoders give exactly `samples` samples.

    The pieces are whole frames in order, from the stream's first one on. Frames behind
    `samples` are left out, missing ones are silence; None means all there is.
    """
    size = frame_bytes(bitrate_kbps)
    sound = b"".join(pieces)
    if len(sound) % size:
        raise BrokenFrameError("a piece ends within a frame")
    if samples is None:
        samples = samples_in(len(sound) // size)
    frames = frames_for(samples)
    sound = sound[: frames * size]
    missing = frames - len(sound) // size
    info = info_frame(frames, bitrate_kbps=bitrate_kbps, samples=samples)
    return b"".join((info, sound, silent_frame(bitrate_kbps) * missing))


def info_frame(frames: int, *, bitrate_kbps: int, samples: int | None = None) -> bytes:
    """The frame before a stream of `frames` that makes decoders give `samples`.

    Xing's header as "Info" (constant bit rate) and LAME's tag with the delay and the
    padding (gabriel.mp3-tech.org/mp3infotag.html). None means all that the frames
    hold. Raises ValueError if they cannot hold `samples` or the 12 bits of the padding
    cannot say it: `frames_for(samples)` always fits. The music's CRC is left 0.
    """
    size = frame_bytes(bitrate_kbps)
    if samples is None:
        samples = samples_in(frames)
    padding = frames * FRAME_SAMPLES - ENCODER_DELAY - samples
    if not DECODER_DELAY <= padding < 4096:
        raise ValueError(f"{frames} frames are not the length of {samples} samples")
    length = (frames + 1) * size
    seeks = bytes(
        min(255, 256 * (100 + frames * at) // (100 * (frames + 1))) for at in range(100)
    )
    xing = struct.pack(">4sIII100sI", b"Info", 0b1111, frames, length, seeks, 53)
    tag = struct.pack(
        ">9sBB8sBB3sBBHI",
        b"LAME3.100",  # what players ask for before they believe the delays
        0x01,  # revision 0, constant bit rate
        0,  # low-pass: not said
        b"",  # no peak, no replay gain
        0,
        min(bitrate_kbps, 255),
        (ENCODER_DELAY << 12 | padding).to_bytes(3),
        0x80,  # mono, from 48 kHz
        0,
        0,
        length,
    )
    head = _header(bitrate_kbps) + bytes(_SIDE) + xing + tag + bytes(2)
    head += _crc16(head).to_bytes(2)
    if len(head) > size:
        raise ValueError(f"{bitrate_kbps} kbit/s leaves no room for an Info frame")
    return head.ljust(size, b"\0")


def is_info(frame: bytes) -> bool:
    """Whether a frame is the note before a stream, and no sound."""
    return frame[_HEADER + _SIDE :][:4] in (b"Info", b"Xing")


def without_info(data: bytes, *, bitrate_kbps: int = 64) -> bytes:
    """A file's frames of sound: `data` without an Info frame at its beginning."""
    return data[frame_bytes(bitrate_kbps) :] if is_info(data) else data


def _crc16(data: bytes) -> int:
    """CRC-16/ARC, as LAME's tag wants it over all that stands before it."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc
