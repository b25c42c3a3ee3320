"""The master as a file: one MP3 of everybody, of exactly the session's length."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from sessions.audio.mixdown import Mixed, mix_to_mp3
from sessions.audio.mixture import Track
from sessions.audio.mp3frames import frames_for, info_frame

KBPS = 128


def write_master(
    path: Path,
    tracks: Sequence[Track],
    *,
    end: int,
    target_lufs: float,
    ceiling_dbtp: float,
    progress: Callable[[float], object] = lambda _: None,
) -> Mixed:
    """Mix tracks from time zero to `end` (samples at 48 kHz) into a file that decodes
    to exactly so many. Temporary files lie beside it. Raises OSError, and what the
    tracks raise.
    """
    with path.open("wb") as file:
        file.write(info_frame(frames_for(end), bitrate_kbps=KBPS, samples=end))
        mixed = mix_to_mp3(
            tracks,
            end=end,
            write=file.write,
            bitrate_kbps=KBPS,
            target_lufs=target_lufs,
            ceiling_dbtp=ceiling_dbtp,
            folder=path.parent,
            progress=progress,
        )
        file.flush()
        os.fsync(file.fileno())
    return mixed
