"""LAME's handle: one stream, one life, and settings that make every frame alike."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import numpy as np
import pytest
from babble import babble

from sessions.audio import lame
from sessions.audio.lame import Lame, LameError, LameMissingError


class Counting:
    """The process's LAME, with a tally of closed handles."""

    def __init__(self) -> None:
        self.closed: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(lame.library(), name)

    def lame_close(self, handle: int) -> None:
        self.closed.append(handle)
        lame.library().lame_close(handle)

    def stream(self, bitrate_kbps: int = 64) -> Lame:
        return Lame(bitrate_kbps, using=cast("ctypes.CDLL", self))


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    lame.library.cache_clear()
    monkeypatch.setattr(lame, "SYSTEM", ("libnot-there.so.0",))
    yield
    lame.library.cache_clear()


def test_every_frame_has_the_same_length() -> None:
    stream = Lame(64)
    frames = stream.encode(babble(48_000)) + stream.finish()
    assert len(frames) % 192 == 0
    assert {frames[at : at + 4] for at in range(0, len(frames), 192)} == {
        b"\xff\xfb\x54\xc4"
    }


def test_how_the_sound_is_cut_does_not_matter() -> None:
    sound = babble(30_000)
    whole, pieces = Lame(128), Lame(128)
    cut = b"".join(pieces.encode(part) for part in np.split(sound, [1, 999, 20_000]))
    assert cut + pieces.finish() == whole.encode(sound) + whole.finish()


def test_it_takes_every_second_sample_of_a_stereo_array() -> None:
    stereo = babble(20_000)
    strided, copied = Lame(), Lame()
    assert strided.encode(stereo[::2]) == copied.encode(stereo[::2].copy())


def test_its_handle_is_closed_once_by_finish() -> None:
    counting = Counting()
    stream = counting.stream()
    stream.encode(babble(5000))
    assert stream.finish()
    assert stream.finish() == b""
    del stream
    assert len(counting.closed) == 1


def test_its_handle_is_closed_once_when_forgotten() -> None:
    counting = Counting()
    stream = counting.stream()
    del stream
    assert len(counting.closed) == 1


def test_nothing_is_encoded_after_the_end() -> None:
    stream = Lame()
    stream.finish()
    with pytest.raises(LameError, match="ended"):
        stream.encode(babble(10))


def test_a_bit_rate_that_is_none_is_refused_and_leaves_no_handle() -> None:
    counting = Counting()
    with pytest.raises(LameError, match="77 kbit/s"):
        counting.stream(77)
    assert len(counting.closed) == 1


@pytest.mark.parametrize(
    "pcm", [np.zeros(9, np.float32), np.zeros((2, 9), np.int16)], ids=["float", "two"]
)
def test_other_than_mono_int16_is_refused(pcm: np.ndarray) -> None:
    with pytest.raises(TypeError, match="mono int16"):
        Lame().encode(pcm)


@pytest.mark.usefixtures("nowhere")
def test_without_the_systems_library_the_wheels_is_taken() -> None:
    assert lame.library()._name == lame.wheel()
    assert len(Lame().encode(np.zeros(9000, np.int16))) % 192 == 0


@pytest.mark.usefixtures("nowhere")
def test_without_any_library_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lame, "wheel", lambda: None)
    with pytest.raises(LameMissingError, match="libmp3lame"):
        Lame()


def test_a_library_that_is_not_lame_is_refused() -> None:
    with pytest.raises(OSError, match="is not LAME"):
        lame.load("libc.so.6")


def test_streams_side_by_side_in_threads_do_not_touch() -> None:
    sounds = [babble(24_000, seed=seed) for seed in range(4)]

    def encoded(sound: np.ndarray) -> bytes:
        stream = Lame()
        parts = [stream.encode(part) for part in np.split(sound, 25)]
        return b"".join(parts) + stream.finish()

    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(encoded, sounds))
    assert together == [encoded(sound) for sound in sounds]
