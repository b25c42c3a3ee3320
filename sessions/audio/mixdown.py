"""The master: any number of tracks in step, summed, as loud as wanted, limited, MP3.

It is encoded in parts at once, which are joined at a frame. Memory does not grow with
length.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from sessions.audio.encode import TrackEncoder
from sessions.audio.frames import TIMELINE_RATE
from sessions.audio.mixture import WINDOW, Fit, Mixture, Track
from sessions.audio.mp3decode import TrackReader
from sessions.audio.mp3frames import (
    FRAME_SAMPLES,
    frame_bytes,
    frames_for,
    silent_frame,
)

LAME_LOSS_LU = 0.4
"""What LAME's quality 7 takes from speech, at 64 and at 128 kbit/s: without noise
shaping, small coefficients become zero. Measured on synthetic voices, 0.35 to 0.45."""
PARTS = 2
"""Encoded at once, each by a LAME of its own: LAME is half of the work."""
LEAD_FRAMES = 12
"""A part's encoder begins this many frames early, to know what came before; LAME
forgets within 8. They are thrown away: every frame stands alone (no bit reservoir)."""
LOOK_AHEAD = 4 * FRAME_SAMPLES
"""How far behind a part's end LAME must hear to give its last frame."""
AT_ONCE = 60 * TIMELINE_RATE
"""Silence is written in pieces of a minute, and parts are joined in as long ones."""
_MIXING = 0.4
"""The share of the first pass in the work; LAME is most of the second."""
_INT16 = 32_767

Progress = Callable[[float], object]
Pcm = tuple[int, NDArray[np.int16]]
"""A position (samples at 48 kHz) and what begins there."""


@dataclass(frozen=True, slots=True)
class Mixed:
    """What a mix came to. Loudness is None where there is nothing but silence, and
    as computed before the encoder takes its part."""

    samples: int
    loudness_before_lufs: float | None
    loudness_lufs: float | None
    gain_db: float


@dataclass(frozen=True, slots=True)
class Finished:
    """A mix that waits for its encoders: any of its parts may be asked for at once."""

    mixture: Mixture
    fit: Fit
    ceiling_dbtp: float

    def sounds(self, start: int, stop: int) -> Iterator[Pcm]:
        """int16 at 48 kHz in order; what is left out is silence."""
        for position, sound in self.mixture.sounds(
            start, stop, gain_db=self.fit.gain_db, ceiling_dbtp=self.ceiling_dbtp
        ):
            yield position, as_int16(sound)


@contextmanager
def finished(
    tracks: Sequence[Track],
    *,
    end: int,
    window: int = WINDOW,
    target_lufs: float = -16.0,
    ceiling_dbtp: float = -1.5,
    folder: Path | None = None,
    progress: Progress = lambda _: None,
) -> Iterator[Finished]:
    """Tracks from the session's zero to `end`, mixed and as loud as wanted.

    `progress` gets the share that is done. Raises what the tracks raise, and OSError
    when there is no room.
    """
    with Mixture(folder, window=window) as mixture:
        mixture.add(tracks, end, progress=progress)
        fit = mixture.fit(target_lufs, ceiling_dbtp=ceiling_dbtp)
        yield Finished(mixture, fit, ceiling_dbtp)


def mix_to_mp3(
    tracks: Sequence[Track],
    *,
    end: int,
    write: Callable[[bytes], object],
    bitrate_kbps: int = 128,
    parts: int = PARTS,
    target_lufs: float = -16.0,
    ceiling_dbtp: float = -1.5,
    loss_lu: float = LAME_LOSS_LU,
    folder: Path | None = None,
    progress: Progress = lambda _: None,
) -> Mixed:
    """Mix tracks and give `frames_for(end)` frames of MP3 to `write`, in order.

    `loss_lu` is what the encoder takes away, made up for beforehand. `progress` gets
    the share of the work that is done, at last 1. Raises what the tracks and `write`
    raise, and OSError when there is no room.
    """
    frames = frames_for(end)
    edges = [frames * part // parts for part in range(parts + 1)]
    with (
        finished(
            tracks,
            end=end,
            target_lufs=target_lufs + loss_lu,
            ceiling_dbtp=ceiling_dbtp,
            folder=folder,
            progress=lambda share: progress(_MIXING * share),
        ) as mix,
        ThreadPoolExecutor(parts) as pool,
    ):
        jobs = [
            pool.submit(_encode, mix, first, behind, end, bitrate_kbps, folder)
            for first, behind in pairwise(edges)
        ]
        for done, job in enumerate(jobs, start=1):
            with job.result() as part:
                while data := part.read(AT_ONCE // TIMELINE_RATE * 16_000):
                    write(data)
            progress(_MIXING + (1 - _MIXING) * done / parts)
    fit = mix.fit
    return Mixed(end, fit.before_lufs, fit.loudness_lufs, fit.gain_db)


def remade(
    track: TrackReader,
    *,
    target_lufs: float = -16.0,
    ceiling_dbtp: float = -1.5,
    bitrate_kbps: int = 64,
) -> Generator[bytes, None, float | None]:
    """One track's own frames, at this loudness, decoded, limited and encoded anew; in
    the end the loudness they should come to."""
    with finished(
        [track],
        end=track.end,
        target_lufs=target_lufs + LAME_LOSS_LU,
        ceiling_dbtp=ceiling_dbtp,
    ) as mix:
        first, behind = track.first_frame, track.end_frame
        with _encode(mix, first, behind, track.end, bitrate_kbps, None) as frames:
            while data := frames.read(AT_ONCE // TIMELINE_RATE * 8_000):
                yield data
        made = mix.fit.loudness_lufs
    return None if made is None else made - LAME_LOSS_LU


def _encode(
    mix: Finished,
    first: int,
    behind: int,
    end: int,
    bitrate_kbps: int,
    folder: Path | None,
) -> IO[bytes]:
    """The frames from `first` to `behind`, in a temporary file read from its start."""
    lead = max(0, first - LEAD_FRAMES)
    encoder = TrackEncoder(first_frame=lead, bitrate_kbps=bitrate_kbps)
    size = frame_bytes(bitrate_kbps)
    stop = min(end, behind * FRAME_SAMPLES + LOOK_AHEAD)
    file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
    unwanted = (first - lead) * size

    def keep(data: bytes) -> None:
        nonlocal unwanted
        file.write(data[unwanted:])
        unwanted -= min(unwanted, len(data))

    def silence(until: int) -> None:
        while encoder.position < until:
            keep(encoder.advance(min(until, encoder.position + AT_ONCE)))

    for position, sound in mix.sounds(lead * FRAME_SAMPLES, stop):
        silence(position)
        keep(encoder.put(position, sound))
    silence(stop)
    keep(encoder.finish())
    missing = (behind - first) * size - file.tell()
    file.write(silent_frame(bitrate_kbps) * max(0, missing // size))
    file.truncate((behind - first) * size)
    file.seek(0)
    return file


def as_int16(sound: NDArray[np.float32]) -> NDArray[np.int16]:
    """Rounded to 16 bits, and clipped where it must be."""
    scaled = sound * np.float32(32_768)
    np.rint(scaled, out=scaled)
    np.clip(scaled, -32_768, _INT16, out=scaled)
    return scaled.astype(np.int16)
