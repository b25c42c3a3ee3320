"""Sound files for the caller: what it says from one, what it heard into one."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import soxr
from numpy.typing import NDArray

from bot.phone.caller import GAP_S, Heard


def read(path: Path, *, rate: int) -> NDArray[np.int16]:
    """Any sound file as mono at `rate`. Raises OSError or av.FFmpegError."""
    with av.open(str(path)) as file:
        its_rate = file.streams.audio[0].rate
        floats = av.AudioResampler(format="fltp")
        pieces = [
            out.to_ndarray().mean(axis=0)  # FFmpeg's own mixture is 3 dB louder
            for frame in _frames(file)
            for out in floats.resample(frame)
        ]
    sound = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    if its_rate != rate:
        sound = soxr.resample(sound, its_rate, rate, quality="HQ")
    return _pcm(sound * 32_768)


def write(path: Path, pcm: NDArray[np.int16], *, rate: int) -> None:
    """A WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm.astype("<i2").tobytes())


def timeline(heard: Sequence[Heard], *, rate: int) -> NDArray[np.int16]:
    """What a telephone would have played, from the UUID on: frames one behind the
    other, later where they came more than a gap late."""
    pieces: list[NDArray[np.int16]] = []
    end = 0
    for start, its_rate, pcm in _runs(heard):
        sound = np.frombuffer(pcm, "<i2").astype(np.int16)
        if its_rate != rate:
            sound = _pcm(soxr.resample(sound.astype(np.float32), its_rate, rate))
        silence = max(round(start * rate) - end, 0)
        pieces += [np.zeros(silence, np.int16), sound]
        end += silence + len(sound)
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)


def _runs(heard: Sequence[Heard]) -> list[tuple[float, int, bytes]]:
    """Frames joined while they follow on: their first arrival, rate and sound."""
    runs: list[tuple[float, int, bytearray]] = []
    end_s = 0.0
    for arrival_s, audio in heard:
        if not runs or runs[-1][1] != audio.rate or arrival_s > end_s + GAP_S:
            runs.append((max(arrival_s, end_s), audio.rate, bytearray()))
            end_s = runs[-1][0]
        pcm = audio.pcm[: len(audio.pcm) // 2 * 2]
        runs[-1][2].extend(pcm)
        end_s += len(pcm) / 2 / audio.rate
    return [(start_s, rate, bytes(pcm)) for start_s, rate, pcm in runs]


def _frames(file: Any) -> list[Any]:
    """The file's frames, and None: give what you still hold."""
    return [*file.decode(audio=0), None]


def _pcm(sound: NDArray[np.float32]) -> NDArray[np.int16]:
    return np.clip(np.rint(sound), -32_768, 32_767).astype(np.int16)
