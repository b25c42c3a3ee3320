"""The master as a file: one MP3 of everybody, written as it is mixed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sessions.audio.encode import TrackEncoder
from sessions.audio.frames import TIMELINE_RATE
from sessions.audio.mixdown import Mixed, Track, mix
from sessions.audio.mp3frames import (
    frame_bytes,
    frames_for,
    info_frame,
    silent_frame,
)

KBPS = 128
AT_ONCE = 60 * TIMELINE_RATE
"""Silence is written in pieces of a minute: three hours of it are 170 MB."""


def write_master(
    path: Path,
    tracks: Sequence[Track],
    *,
    end: int,
    target_lufs: float,
    ceiling_dbtp: float,
    progress: Callable[[float], object] = lambda _: None,
) -> Mixed:
    """Mix tracks from time zero to `end` (samples at 48 kHz) into a file of exactly
    that length. Temporary files lie beside it. Raises OSError, and what tracks raise.
    """
    encoder = TrackEncoder(first_frame=0, bitrate_kbps=KBPS)
    frames = frames_for(end)
    size = frame_bytes(KBPS)
    with path.open("wb") as file:
        file.write(info_frame(frames, bitrate_kbps=KBPS, samples=end))

        def silence(until: int) -> None:
            while encoder.position < until:
                file.write(encoder.advance(min(until, encoder.position + AT_ONCE)))

        def encode(position: int, pcm: NDArray[np.int16]) -> None:
            silence(position)
            file.write(encoder.put(position, pcm))

        mixed = mix(
            tracks,
            end=end,
            encode=encode,
            target_lufs=target_lufs,
            ceiling_dbtp=ceiling_dbtp,
            folder=path.parent,
            progress=progress,
        )
        silence(end)
        file.write(encoder.finish())
        missing = frames - (file.tell() // size - 1)
        file.write(silent_frame(KBPS) * max(missing, 0))
        file.truncate((frames + 1) * size)
        file.flush()
        os.fsync(file.fileno())
    return mixed
