"""Opus: packets to sound, sample by sample, and whatever else comes over a network."""

from __future__ import annotations

import numpy as np
import pytest
from babble import babble
from numpy.typing import NDArray
from opus_packets import LOOK_AHEAD, encoded

from sessions.audio.opus import OpusDecoder, OpusError

SILENCE = b"\xf8\xff\xfe"
"""What Discord sends five times when somebody stops to talk."""


def decoded(stream: list[bytes]) -> NDArray[np.int16]:
    decoder = OpusDecoder()
    return np.concatenate([decoder.decode(packet) for packet in stream])


@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_a_voice_comes_out_sample_for_sample_in_its_place(layout: str) -> None:
    voice = babble(24_000)
    heard = decoded(encoded(voice, layout=layout))
    assert len(heard) == len(voice)
    truth = voice[: 20_000 - LOOK_AHEAD]
    alike = [
        np.corrcoef(heard[LOOK_AHEAD + lag : 20_000 + lag], truth)[0, 1]
        for lag in (-4, 0, 4)
    ]
    assert int(np.argmax(alike)) == 1
    assert alike[1] > 0.97


@pytest.mark.parametrize("ms", [2.5, 10, 20, 60])
def test_a_packet_gives_all_of_its_samples(ms: float) -> None:
    decoder = OpusDecoder()
    for packet in encoded(babble(5_760), ms=ms):
        assert len(decoder.decode(packet)) == ms * 48


def test_a_narrow_band_and_the_change_to_a_wide_one_lose_no_sample() -> None:
    narrow, wide = encoded(babble(9_600), bps=8_000), encoded(babble(9_600))
    assert len(decoded(narrow[:5] + wide[5:] + narrow[5:])) == 15 * 960


def test_what_was_lost_is_not_concealed() -> None:
    stream = encoded(babble(19_200))
    assert len(decoded(stream[:5] + stream[15:])) == 10 * 960


def test_the_packet_of_silence_is_silent() -> None:
    decoder = OpusDecoder()
    assert not decoder.decode(SILENCE).any()
    assert len(decoder.decode(SILENCE)) == 960


@pytest.mark.parametrize("packet", [b"", b"\xff", b"\x03\x00", bytes([0xFF, 0x3F, 1])])
def test_what_is_no_packet_is_said_and_harms_no_other(packet: bytes) -> None:
    decoder = OpusDecoder()
    stream = encoded(babble(9_600))
    for good in stream[:5]:
        decoder.decode(good)
    with pytest.raises(OpusError):
        decoder.decode(packet)
    assert [len(decoder.decode(good)) for good in stream[5:]] == [960] * 5


def test_garbage_is_sound_or_an_error_and_never_the_end() -> None:
    rng = np.random.default_rng(5)
    decoder, refused = OpusDecoder(), 0
    good = encoded(babble(1_920))[1]
    for _ in range(150):
        try:
            assert len(decoder.decode(rng.bytes(int(rng.integers(0, 40))))) <= 5_760
        except OpusError:
            refused += 1
    assert refused > 20
    assert len(decoder.decode(good)) == 960
