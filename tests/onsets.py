"""Where known speech stands in a decoded file: FFmpeg's ears and mpg123's.

Sound is read as a stream, and each piece of speech looked for by a matched filter
around where it should be. Positions are samples at 48 kHz since time zero.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from scipy import fft  # type: ignore[import-untyped]

from sessions.audio.mp3frames import DELAY

RATE = 48_000
SEARCH = 4_800
"""Speech is looked for this far on both sides: 100 ms."""
CLEAR = 5.0
"""A peak so many times the usual correlation is hardly chance, of 9601 places."""
WEAK = 0.1
"""Frequencies this much weaker than usual are not trusted as much as the others."""
_AT_ONCE = 20 * RATE

Sound = NDArray[np.float32]
Decoder = Callable[[Path], Iterator[Sound]]


def by_ffmpeg(path: Path) -> Iterator[Sound]:
    """PyAV's: another decoder than the one that mixes."""
    with av.open(str(path), "r", format="mp3") as file:
        for frame in file.decode(audio=0):
            yield frame.to_ndarray()[0]


def by_mpg123(path: Path) -> Iterator[Sound]:
    """The command line tool's. Raises AssertionError if it complains."""
    command = ["mpg123", "-q", "--stdout", "--encoding", "f32", "--mono", str(path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        while data := process.stdout.read(4 * RATE):
            yield np.frombuffer(data, np.float32)
        assert process.stderr.read() == b""
    assert process.returncode == 0


DECODERS: dict[str, Decoder] = {"FFmpeg": by_ffmpeg, "mpg123": by_mpg123}


@dataclass(frozen=True, slots=True)
class Piece:
    """Speech to be found: `at` is where it was spoken, `placed` where it was put, with
    `others` of its packets elsewhere if it was moved within. `sound` makes it."""

    at: float
    length: int
    placed: tuple[int, ...]
    is_onset: bool
    sound: Callable[[], NDArray[np.int16]]


@dataclass(slots=True)
class Found:
    """Where the pieces are: `nan` where one is not."""

    at: NDArray[np.float64]
    samples: int
    """The length of what was decoded."""


def find(
    pieces: list[Piece], sounds: Iterable[Sound], *, start: int, without_info: bool
) -> Found:
    """Look for pieces, sorted by `at`, in a file whose first frame is `start` of the
    timeline. `without_info`: the file does not say that the decoder comes late."""
    found = np.full(len(pieces), np.nan)
    stream = _Stream(sounds, at=start - DELAY if without_info else start)
    for number, piece in enumerate(pieces):
        wanted = round(piece.at) - SEARCH
        window = stream.window(wanted, piece.length + 2 * SEARCH)
        if (lag := _lag(window, piece.sound())) is not None:
            found[number] = wanted + lag
    return Found(found, stream.rest())


def _lag(window: Sound, sound: NDArray[np.int16]) -> int | None:
    """Where in the window the sound begins. It is whitened, so that neither a vowel nor
    another speaker is taken for it."""
    size = fft.next_fast_len(len(window), real=True)
    known = fft.rfft(sound.astype(np.float32), size)
    power = np.square(known.real) + np.square(known.imag)
    known /= np.sqrt(power + WEAK * power.mean())
    match = fft.irfft(fft.rfft(window, size) * known.conj(), size)
    match = match[: len(window) - len(sound) + 1]
    peak = int(match.argmax())
    usual = float(np.sqrt(np.mean(np.square(match))))
    return peak if match[peak] > CLEAR * usual > 0 else None


class _Stream:
    """Windows of a stream, each no earlier than the one before."""

    def __init__(self, sounds: Iterable[Sound], *, at: int) -> None:
        self._sounds = iter(sounds)
        self._at, self._kept = at, np.zeros(0, np.float32)
        self._count = 0

    def window(self, start: int, length: int) -> Sound:
        """Zeros where the file has nothing."""
        self._read(start + length)
        window = np.zeros(length, np.float32)
        low, high = max(start, self._at), min(start + length, self._end)
        if low < high:
            window[low - start : high - start] = self._kept[
                low - self._at : high - self._at
            ]
        if start - self._at > _AT_ONCE:
            self._kept = self._kept[start - self._at :].copy()
            self._at = start
        return window

    def rest(self) -> int:
        """Read to the end; how many samples there were."""
        return self._count + sum(map(len, self._sounds))

    @property
    def _end(self) -> int:
        return self._at + len(self._kept)

    def _read(self, until: int) -> None:
        if self._end >= until:
            return
        parts, have = [self._kept], self._end
        for sound in self._sounds:
            parts.append(sound)
            have += len(sound)
            self._count += len(sound)
            if have >= until + _AT_ONCE:
                break
        self._kept = np.concatenate(parts)
