"""A tape: one connection's sound on its way into chunk files.

Resampled, metered, encoded without a break, and cut at the frames where the session's
chunks begin: the same for every track of a session. The same sound makes the same bytes
and the same waveform, so a lost chunk is made again from the journal.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from sessions.audio.encode import TrackEncoder
from sessions.audio.frames import TIMELINE_RATE, Placed
from sessions.audio.meter import Meter, Metered
from sessions.audio.mp3frames import FRAME_SAMPLES, frame_bytes
from sessions.audio.resample import Piece, Upsampler
from sessions.spool import Folder, sync_folder

KBPS = 64
FRAME_BYTES = frame_bytes(KBPS)
BATCH = TIMELINE_RATE
"""Sound is worked on in pieces up to about a second long, cut at multiples of it: ten
times cheaper than a packet at a time, and for the same sound always in the same
pieces."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A chunk that is whole and safe on disk. Counts frames of 1152 samples."""

    first_frame: int
    frames: int
    path: Path
    metered: Metered


class Tape:
    """Writes one connection's chunks into its folder. Not for two threads at once."""

    def __init__(self, folder: Folder, *, chunk_s: float) -> None:
        self._folder = folder
        self._chunk = round(chunk_s * TIMELINE_RATE)
        self._up = Upsampler()
        self._encoder: TrackEncoder | None = None
        self._meter = Meter(0)
        self._waiting: list[Placed] = []
        self._frame = 0  # the next one
        self._first = 0  # of the open chunk
        self._file: BinaryIO | None = None
        self._end: int | None = None

    def put(self, placed: Placed) -> list[Sealed]:
        """Take the next sound; the chunks that became whole with it."""
        if self._encoder is None:
            self._frame = self._first = placed.position // FRAME_SAMPLES
            self._encoder = TrackEncoder(first_frame=self._frame, bitrate_kbps=KBPS)
            self._meter = Meter(self._frame * FRAME_SAMPLES)
        sealed = self._work() if self._breaks(placed) else []
        self._waiting.append(placed)
        self._end = end = placed.end
        if placed.position // BATCH < end // BATCH:
            sealed += self._work()
        return sealed

    def finish(self) -> list[Sealed]:
        """The track has ended: what is left, to the last sample."""
        if self._encoder is None:
            return []
        sealed = self._work()
        sealed += self._sound(self._up.flush())
        sealed += self._write(self._encoder.finish())
        self._meter.flush()
        return sealed + self._seal()

    def _breaks(self, placed: Placed) -> bool:
        """Whether it does not follow what waits."""
        waiting = self._waiting
        return bool(waiting) and (
            placed.position != self._end or placed.rate != waiting[-1].rate
        )

    def _work(self) -> list[Sealed]:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return []
        pcm = np.concatenate([placed.pcm for placed in waiting])
        if pcm.any():
            return self._sound(self._up.put(replace(waiting[0], pcm=pcm)))
        sealed = self._sound(self._up.flush())  # what is silent is the same as a gap
        assert self._encoder is not None
        return sealed + self._write(self._encoder.advance(waiting[-1].end))

    def _sound(self, pieces: Iterable[Piece]) -> list[Sealed]:
        assert self._encoder is not None
        sealed = []
        for position, pcm in pieces:
            self._meter.add(position, pcm)
            sealed += self._write(self._encoder.put(position, pcm))
        return sealed

    def close(self) -> None:
        """Let go of the open file; the journal makes it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, data: bytes) -> list[Sealed]:
        sealed = []
        while data:
            room = (self._border() - self._frame) * FRAME_BYTES
            self._append(data[:room])
            self._frame += len(data[:room]) // FRAME_BYTES
            data = data[room:]
            if self._frame == self._border():
                sealed += self._seal()
        return sealed

    def _border(self) -> int:
        """The frame with which the next chunk begins."""
        number = self._first * FRAME_SAMPLES // self._chunk
        while (border := -(-number * self._chunk // FRAME_SAMPLES)) <= self._first:
            number += 1
        return border

    def _append(self, data: bytes) -> None:
        if self._file is None:
            self._file = self._folder.open(self._first).open("wb", buffering=0)
        while data:  # a nearly full disk takes a part of it
            data = data[self._file.write(data) :]

    def _seal(self) -> list[Sealed]:
        """Make the open chunk whole: synced, then renamed."""
        if self._file is None:
            return []
        os.fsync(self._file.fileno())
        self.close()
        self._keep_granules()
        path = self._folder.sealed(self._first)
        self._folder.open(self._first).replace(path)
        sync_folder(path.parent)
        metered = self._meter.cut(self._frame * FRAME_SAMPLES)
        done = Sealed(self._first, self._frame - self._first, path, metered)
        self._first = self._frame
        return [done]

    def _keep_granules(self) -> None:
        """Beside the chunk. Without them, or with damaged ones, it is only slower to
        make a fragment: they are not synced, and a full disk is told by the chunk."""
        with contextlib.suppress(OSError):
            path = self._folder.granules(self._first)
            path.write_bytes(self._meter.granules().to_bytes())
