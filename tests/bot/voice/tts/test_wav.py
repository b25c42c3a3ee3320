"""WAV as a stream."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from bot.voice.tts.wav import MAX_HEAD_BYTES, Samples, WavReader

SOUND = np.arange(-500, 500, dtype=np.int16)


def wav(
    sound: bytes,
    *,
    kind: int = 1,
    channels: int = 1,
    rate: int = 22_050,
    bits: int = 16,
    size: int | None = None,
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    head = struct.pack("<HHIIHH", kind, channels, rate, 0, 0, bits)
    if kind == 0xFFFE:
        head += struct.pack("<HHIH", 22, bits, 4, 1) + bytes(14)
    fmt = b"fmt " + struct.pack("<I", len(head)) + head
    size = len(sound) if size is None else size
    data = b"data" + struct.pack("<I", size) + sound
    return b"RIFF" + bytes(4) + b"WAVE" + before + fmt + data + after


def read(data: bytes, *, piece: int = 10_000) -> tuple[np.ndarray, int]:
    reader = WavReader()
    parts = [reader.feed(data[at : at + piece]) for at in range(0, len(data), piece)]
    return np.concatenate(parts), reader.rate


@pytest.mark.parametrize("piece", [1, 7, 44, 10_000])
def test_it_reads_samples_however_they_come(piece: int) -> None:
    pcm, rate = read(wav(SOUND.tobytes()), piece=piece)
    assert rate == 22_050
    assert np.array_equal(pcm, SOUND)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_a_size_that_nobody_knew_means_until_the_end(size: int) -> None:
    assert np.array_equal(read(wav(SOUND.tobytes(), size=size))[0], SOUND)


@pytest.mark.parametrize("piece", [1, 10_000])
def test_tags_are_no_sound(piece: int) -> None:
    tags = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    data = wav(SOUND.tobytes(), before=tags, after=tags)
    assert np.array_equal(read(data, piece=piece)[0], SOUND)


def test_two_channels_become_one_and_an_extensible_head_is_read() -> None:
    both = np.column_stack([SOUND, SOUND + 10]).tobytes()
    pcm, _ = read(wav(both, channels=2, kind=0xFFFE), piece=3)
    assert np.array_equal(pcm, SOUND + 5)


@pytest.mark.parametrize(
    "data",
    [
        b"<html>",
        b"RIFF" + bytes(4) + b"AVI ",
        wav(b"", kind=3, bits=32),
        wav(b"", bits=8),
        wav(b"", channels=6),
        wav(b"", channels=0),
        wav(b"", rate=0),
        wav(b"", rate=4_000_000_000),
        b"RIFF" + bytes(4) + b"WAVEfmt " + struct.pack("<I", 2) + bytes(2),
        b"RIFF" + bytes(4) + b"WAVEdata" + bytes(4),
        b"RIFF" + bytes(4) + b"WAVEjunk" + b"\xff" * (MAX_HEAD_BYTES + 10),
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    for piece in (50, 100_000):
        with pytest.raises(ValueError):
            read(data, piece=piece)


def test_half_a_sample_waits_for_its_other_half() -> None:
    samples = Samples()
    assert len(samples.feed(b"\1")) == 0
    assert samples.feed(b"\2\3").tolist() == [0x0201]
