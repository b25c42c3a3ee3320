"""A track, or a window of it, as the file somebody wants: MP3, FLAC, WAV or Opus.

MP3 is cut between frames and never encoded anew: its Info frame tells decoders at which
sample the window begins and ends. The others are 48 kHz, mono, 16 bits. All give their
bytes piece by piece, so that hours take no more memory than seconds. Pure.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import av
import numpy as np
from numpy.typing import NDArray

from sessions.audio.frames import TIMELINE_RATE
from sessions.audio.mp3decode import FRAME, FRAME_BYTES, Frames
from sessions.audio.mp3frames import (
    DECODER_DELAY,
    DELAY,
    ENCODER_DELAY,
    _crc16,
    info_frame,
)

BLOCK = 100 * 4608
"""Samples made at once, 9.6 s: whole frames of FLAC (4608), Opus (960), MP3 (1152)."""
EVEN = 16
"""Frames of FLAC made at once, at least: small pieces are gathered first."""
MP3_BLOCK = 4_096
"""Frames of MP3 read at once: 98 s, 786 kB."""
OPUS_BPS = 48_000
"""Speech in full band is transparent from about here (Opus' recommended settings)."""
_KBPS = 64
_LAME_DELAYS = 162
"""Where delay and padding stand in a mono frame: header 4, side information 17, Xing's
fields 120, and 21 of LAME's tag (gabriel.mp3-tech.org/mp3infotag.html)."""
_LAME_CRC = 175
"""The CRC of all before it stands there, by the same count."""
_RIFF_MAX = (1 << 32) - 1

Pcm = NDArray[np.int16]


class Sound(Protocol):
    """What is asked of a `TrackReader`."""

    def window(self, start: int, stop: int) -> NDArray[np.float32]:
        """Sound from `start` to `stop`; zeros where the track has none."""

    def frames(self, first: int, end: int) -> Frames:
        """MP3 frames of the session's grid."""


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file. `encode(sound, start, stop)` gives its bytes; positions count
    samples at 48 kHz. `size(start, stop)` is the file's length, None if not known."""

    content_type: str
    encode: Callable[[Sound, int, int], Iterator[bytes]]
    size: Callable[[int, int], int | None]
    shrinks: bool = False
    """Whether compressing it is worth the time."""


def pcm16(sound: NDArray[np.float32]) -> Pcm:
    """Samples as 16 bits, as they were before the MP3: full scale is 32768."""
    return np.clip(np.rint(sound * 32768), -32768, 32767).astype(np.int16)


def _blocks(sound: Sound, start: int, stop: int) -> Iterator[Pcm]:
    for at in range(start, stop, BLOCK):
        yield pcm16(sound.window(at, min(at + BLOCK, stop)))


def wav(sound: Sound, start: int, stop: int) -> Iterator[bytes]:
    return wav_of(_blocks(sound, start, stop), samples=stop - start)


def wav_of(
    blocks: Iterable[Pcm], *, samples: int, rate: int = TIMELINE_RATE
) -> Iterator[bytes]:
    """Sound that is there already, so many samples of it in all."""
    yield _wav_header(samples, rate=rate)
    for block in blocks:
        yield block.astype("<i2").tobytes()


def _wav_header(samples: int, *, rate: int = TIMELINE_RATE) -> bytes:
    """RIFF, and above 4 GiB (12 hours) RF64 (EBU Tech 3306), which editors know."""
    data = samples * 2
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16)
    if 36 + data <= _RIFF_MAX:
        riff = struct.pack("<4sI4s", b"RIFF", 36 + data, b"WAVE")
        return riff + fmt + struct.pack("<4sI", b"data", data)
    wide = struct.pack("<4sIQQQI", b"ds64", 28, 72 + data, data, samples, 0)
    head = struct.pack("<4sI4s", b"RF64", _RIFF_MAX, b"WAVE")
    return head + wide + fmt + struct.pack("<4sI", b"data", _RIFF_MAX)


def _wav_size(start: int, stop: int) -> int:
    return len(_wav_header(stop - start)) + 2 * (stop - start)


def flac(sound: Sound, start: int, stop: int) -> Iterator[bytes]:
    return flac_of(_blocks(sound, start, stop), samples=stop - start)


def flac_of(
    blocks: Iterable[Pcm], *, samples: int, rate: int = TIMELINE_RATE
) -> Iterator[bytes]:
    """Sound that is there already, so many samples of it in all."""
    codec: Any = av.CodecContext.create("flac", "w")
    codec.sample_rate, codec.layout, codec.format = rate, "mono", "s16"
    codec.open()
    yield _flac_header(bytes(codec.extradata), samples)
    at = 0
    for block in _even(blocks, codec.frame_size):
        frames = _av_frames(block, codec.frame_size, at=at, rate=rate)
        yield b"".join(bytes(p) for frame in frames for p in codec.encode(frame))
        at += len(block)
    yield b"".join(bytes(packet) for packet in codec.encode(None))


def _even(blocks: Iterable[Pcm], size: int) -> Iterator[Pcm]:
    """The same sound in blocks of whole frames; only the last may be shorter."""
    held: list[Pcm] = []
    known = 0
    for block in blocks:
        held.append(block)
        known += len(block)
        if known < EVEN * size:
            continue
        joined = np.concatenate(held)
        whole = known // size * size
        yield joined[:whole]
        held, known = [joined[whole:]], known - whole
    if known:
        yield np.concatenate(held)


def _flac_header(info: bytes, samples: int) -> bytes:
    """The mark and STREAMINFO as the only block (RFC 9639, 8.2), with the length that
    the encoder did not know: the low 36 of the 64 bits from byte 10 on."""
    (fields,) = struct.unpack_from(">Q", info, 10)
    fields = fields >> 36 << 36 | samples & (1 << 36) - 1
    info = info[:10] + struct.pack(">Q", fields) + info[18:]
    return b"fLaC\x80" + len(info).to_bytes(3) + info


def opus(sound: Sound, start: int, stop: int) -> Iterator[bytes]:
    """Ogg Opus, exactly as long as the window once its pre-skip is left out."""
    out = _Outbox()
    container: Any = av.open(out, "w", format="ogg")
    try:
        stream = container.add_stream("libopus", rate=TIMELINE_RATE)
        stream.layout, stream.format, stream.bit_rate = "mono", "s16", OPUS_BPS
        at = 0
        for block in _blocks(sound, start, stop):
            size = stream.codec_context.frame_size or 960
            for frame in _av_frames(block, size, at=at):
                container.mux(stream.encode(frame))
            at += len(block)
            yield out.taken()
        container.mux(stream.encode(None))
    finally:
        container.close()
    yield out.taken()


class _Outbox:
    """A file that is only written, and emptied as it grows."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> int:
        self._data += data
        return len(data)

    def taken(self) -> bytes:
        data, self._data = bytes(self._data), bytearray()
        return data


def _av_frames(
    block: Pcm, size: int, *, at: int, rate: int = TIMELINE_RATE
) -> Iterator[Any]:
    for begin in range(0, len(block), size):
        part = np.ascontiguousarray(block[None, begin : begin + size])
        frame: Any = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
        frame.sample_rate, frame.pts = rate, at + begin
        yield frame


@dataclass(frozen=True, slots=True)
class Cut:
    """Which frames a window takes, and how many samples decoders leave out before it
    (besides their own 529)."""

    first: int
    end: int
    delay: int


def cut_of(start: int, stop: int) -> Cut:
    """The frames of a window. The frame before the one that holds the first sample is
    with them: a decoder needs it to come to the right state."""
    first = max(0, (start + DELAY) // FRAME - 1)
    end = max(first + 2, -(-(stop + DELAY) // FRAME))
    return Cut(first, end, start + ENCODER_DELAY - first * FRAME)


def mp3(sound: Sound, start: int, stop: int) -> Iterator[bytes]:
    cut = cut_of(start, stop)
    yield _info(cut, stop - start)
    for first in range(cut.first, cut.end, MP3_BLOCK):
        yield sound.frames(first, min(first + MP3_BLOCK, cut.end)).tobytes()


def _info(cut: Cut, samples: int) -> bytes:
    """The Info frame of a stream that is cut anywhere: our delay in LAME's place."""
    frames = cut.end - cut.first
    info = bytearray(info_frame(frames, bitrate_kbps=_KBPS))
    padding = frames * FRAME - cut.delay - samples
    assert DECODER_DELAY <= padding < 4096, "the cut does not hold its window"
    info[_LAME_DELAYS : _LAME_DELAYS + 3] = (cut.delay << 12 | padding).to_bytes(3)
    info[_LAME_CRC : _LAME_CRC + 2] = _crc16(bytes(info[:_LAME_CRC])).to_bytes(2)
    return bytes(info)


def _mp3_size(start: int, stop: int) -> int:
    cut = cut_of(start, stop)
    return (cut.end - cut.first + 1) * FRAME_BYTES


def _unknown(start: int, stop: int) -> None:
    """What is compressed is known when it is done."""


LOSSLESS = {"flac": flac_of, "wav": wav_of}
"""What can hold sound as it arrived."""

FORMATS = {
    "mp3": Format("audio/mpeg", mp3, _mp3_size),
    "flac": Format("audio/flac", flac, _unknown),
    "wav": Format("audio/wav", wav, _wav_size, shrinks=True),
    "opus": Format("audio/ogg", opus, _unknown),
}
