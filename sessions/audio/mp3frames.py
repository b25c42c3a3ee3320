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
    """How many frames a decoder needs to give `samples` after the delay."""
    return -(-(samples + DELAY) // FRAME_SAMPLES)


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


def _lengths(frame: bytes) -> tuple[int, int]:
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


def _good(data: bytes, size: int, bitrate_kbps: int) -> NDArray[np.bool_]:
    """Which of the whole frames have this stream's header and may hold what they say.

    The header's last byte may differ in its rights and emphasis bits.
    """
    rows = _rows(data, size)
    header = np.frombuffer(_header(bitrate_kbps), np.uint8)
    first, second = _length_columns(rows)
    good: NDArray[np.bool_] = (
        (rows[:, :3] == header[:3]).all(axis=1)
        & (rows[:, 3] & 0xC0 == 0xC0)
        & (rows[:, 4] == 0)
        & (rows[:, 5] & 0x80 == 0)  # main_data_begin: nothing from frames before
        & (first + second <= 8 * (size - _HEADER - _SIDE))
    )
    return good


def whole_frames(data: bytes, *, bitrate_kbps: int = 64) -> bytes:
    """`data` without an unfinished last frame.

    Raises BrokenFrameError where a frame is not of this stream's kind.
    """
    size = frame_bytes(bitrate_kbps)
    good = _good(data, size, bitrate_kbps)
    if not good.all():
        at = int(good.argmin())
        raise BrokenFrameError(f"frame {at} (byte {at * size}) is no frame of ours")
    return data[: len(good) * size]


def repaired(data: bytes, *, bitrate_kbps: int = 64) -> bytes:
    """Every good frame of a damaged stream, at its time; silence for the others.

    Behind damage it looks for the next two good frames (one at the end). If they stand
    off the grid, bytes were lost, and the fewest frames that explains are put in their
    place. What is broken at the end is cut; what was never ours gives b"".
    """
    size = frame_bytes(bitrate_kbps)
    parts: list[bytes] = []
    at: int | None = 0
    while at is not None:
        run = _good_run(data, at, size, bitrate_kbps)
        parts.append(data[at : at + run])
        at += run
        found = _next_good(data, at, size, bitrate_kbps)
        if found is not None:
            parts.append(silent_frame(bitrate_kbps) * -(-(found - at) // size))
        at = found
    return b"".join(parts)


def _good_run(data: bytes, at: int, size: int, bitrate_kbps: int) -> int:
    """The bytes of good frames from `at` on."""
    begin, block = at, 4096 * size
    while len(good := _good(data[at : at + block], size, bitrate_kbps)):
        if not good.all():
            at += int(good.argmin()) * size
            break
        at += len(good) * size
    if at > begin and at < len(data) and _is_torn(data[at - size : at]):
        at -= size
    return at - begin


def _is_torn(frame: bytes) -> bool:
    """Whether the frame's sound ends in zeros: a page of the disk was never written."""
    sound = frame[_HEADER + _SIDE :][: -(-sum(_lengths(frame)) // 8)]
    return len(sound) > _TORN and not any(sound[-_TORN:])


def _next_good(data: bytes, at: int, size: int, bitrate_kbps: int) -> int | None:
    """Where good frames begin again, behind a broken one at `at`."""
    sync = _header(bitrate_kbps)[:3]
    while (at := data.find(sync, at + 1)) >= 0:
        good = _good(data[at : at + 2 * size], size, bitrate_kbps)
        if len(good) and good.all():
            return at
    return None


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
    frames = len(sound) // size if samples is None else frames_for(samples)
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
        samples = max(0, frames * FRAME_SAMPLES - DELAY)
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
