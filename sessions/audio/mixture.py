"""The mixture: the sum of any number of tracks in step, on its way to a master.

Each track is decoded once, a window at a time; the sum waits in a temporary file with
its energies and peaks per millisecond, from which alone the gain is found that makes
the sound, amplified and limited, as loud as wanted. Windows may be added while a
session still runs. Where nobody speaks nothing is in the file, and nothing is computed.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from sessions.audio.frames import TIMELINE_RATE
from sessions.audio.limiter import (
    STEP,
    LimitedEnergies,
    Limiter,
    amplitude,
    sample_peaks,
)
from sessions.audio.loudness import BLOCK, integrated
from sessions.audio.mp3frames import FRAME_SAMPLES
from sessions.audio.weighing import Weighing

PAUSE = TIMELINE_RATE
"""A silence this long in all tracks is left out: filters and limiter are at rest."""
LEAD = TIMELINE_RATE
"""A part is limited from this long before its start, as if all had been."""
MAX_GAIN_DB = 30.0
"""What is this quiet is noise rather than people: it is not amplified further."""
BETWEEN_DB = 0.1
"""What true peaks of speech exceed sample peaks by at 48 kHz, for the search."""
CLOSE_LU = 0.05
WINDOW = 1_000 * FRAME_SAMPLES
"""What is decoded at once, 24 s: 5 MB."""
DECODERS = 2
"""Windows decoded at once: mostly in C, outside the interpreter's lock."""
PIECE = 1_000 * STEP
"""Worked on at once, 1 s: it stays in the processor's own memory meanwhile."""
_TRIES = 10
_FLATTEST = 0.2
"""LU per dB of gain: less is not believed of a limiter."""
_INT16 = 32_767


Sound = tuple[int, NDArray[np.float32]]
"""A position (samples at 48 kHz) and what begins there."""


class Track(Protocol):
    """What can be mixed: `TrackReader`, or anything like it that several threads may
    ask at once."""

    def sounds(self, start: int, stop: int) -> Iterator[Sound]:
        """The audible stretches between two positions."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A gain, and the loudness without it and with it and the limiter."""

    gain_db: float
    before_lufs: float | None
    loudness_lufs: float | None


@dataclass(frozen=True, slots=True)
class _Sum:
    """What all tracks have from `start` on, and in which tenths of a second: a tenth
    after each sound is counted in, and `ringing` of them come after the end."""

    start: int
    sound: NDArray[np.float32]
    heard: NDArray[np.bool_]
    ringing: int


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Sound in the file: int16 of `scale`, then energies and peaks per millisecond."""

    start: int
    stop: int
    scale: float
    offset: int


class Mixture:
    """The sum of tracks so far, in a temporary file that goes with it."""

    def __init__(self, folder: Path | None = None, *, window: int = WINDOW) -> None:
        """`folder`: where there is room for 6 MB per minute of talk. `window`: samples
        decoded at once."""
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self._window = max(1, window // BLOCK) * BLOCK
        self._stretches: list[_Stretch] = []
        self._weigh = Weighing()
        self._ringing = 0  # tenths of a second after the end that belong to the sound
        self.end = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(
        self,
        tracks: Sequence[Track],
        stop: int,
        *,
        progress: Callable[[float], object] = lambda _: None,
    ) -> None:
        """Mix on from the last end to `stop` (samples at 48 kHz; rounded up to a
        tenth of a second). `progress` gets the share that is done."""
        start, stop = self.end, -(-stop // BLOCK) * BLOCK
        waiting: deque[Future[_Sum]] = deque()
        with ThreadPoolExecutor(DECODERS) as pool:
            for begin in range(start, stop, self._window):
                behind = min(stop, begin + self._window)
                waiting.append(pool.submit(_summed, tracks, begin, behind))
                if len(waiting) > DECODERS:
                    self._take(waiting.popleft().result())
                    progress((self.end - start) / (stop - start))
            while waiting:
                self._take(waiting.popleft().result())
                progress((self.end - start) / (stop - start))

    def _take(self, window: _Sum) -> None:
        heard = window.heard
        heard[: self._ringing] = True
        self._ringing = max(window.ringing, self._ringing - len(heard))
        self.end = window.start + len(heard) * BLOCK
        for first, last in _runs(heard, joined=PAUSE // BLOCK):
            sound = window.sound[first * BLOCK : last * BLOCK]
            self._keep(window.start + first * BLOCK, sound)

    def _keep(self, start: int, sound: NDArray[np.float32]) -> None:
        behind = self._stretches[-1].stop if self._stretches else 0
        if start - behind >= PAUSE:
            self._weigh.reset()
        elif start > behind:
            sound = np.concatenate((np.zeros(start - behind, np.float32), sound))
            start = behind
        energies, peaks = self._weigh(sound), sample_peaks(sound)
        scale = max(float(peaks.max()), 1e-6) / _INT16
        offset = self._file.seek(0, os.SEEK_END)
        for at in range(0, len(sound), PIECE):
            coarse = sound[at : at + PIECE] * np.float32(1 / scale)
            np.rint(coarse, out=coarse)
            self._file.write(coarse.astype(np.int16).data)
        self._file.write(energies.data)
        self._file.write(peaks.data)
        self._file.flush()
        self._stretches.append(_Stretch(start, start + len(sound), scale, offset))

    def loudness(self, gain_db: float, *, ceiling_dbtp: float) -> float | None:
        """What the mix would be at with this gain and behind the limiter."""
        scale = amplitude(gain_db)
        per_ceiling = np.float32(scale * amplitude(BETWEEN_DB - ceiling_dbtp))
        parts, done, limited = (
            [np.zeros(0, np.float32)],
            0,
            LimitedEnergies(per=BLOCK // STEP),
        )
        for stretch in self._stretches:
            if stretch.start != done:
                parts += [limited.rest(), _silence(stretch.start - done)]
                limited = LimitedEnergies(per=BLOCK // STEP)
            energies, peaks = self._measured(stretch)
            parts.append(limited(energies * np.float32(scale**2), peaks * per_ceiling))
            done = stretch.stop
        return integrated(np.concatenate([*parts, limited.rest()]))

    def fit(self, target_lufs: float, *, ceiling_dbtp: float) -> Fit:
        """The gain with which the limited mix comes nearest to a loudness."""
        before = self.loudness(0, ceiling_dbtp=math.inf)
        if before is None:
            return Fit(0.0, None, None)
        gain, last_gain, last = min(MAX_GAIN_DB, target_lufs - before), 0.0, before
        best = Fit(0.0, before, -math.inf)
        for _ in range(_TRIES):
            found = self.loudness(gain, ceiling_dbtp=ceiling_dbtp)
            if found is None or best.loudness_lufs is None:
                break
            if abs(target_lufs - found) < abs(target_lufs - best.loudness_lufs):
                best = Fit(gain, before, found)
            if abs(target_lufs - found) < CLOSE_LU or gain == MAX_GAIN_DB:
                break
            slope = (found - last) / (gain - last_gain) if gain != last_gain else 1.0
            last_gain, last = gain, found
            step = (target_lufs - found) / min(1.0, max(slope, _FLATTEST))
            gain = min(MAX_GAIN_DB, gain + step)
        return best

    def sounds(
        self,
        start: int = 0,
        stop: int | None = None,
        *,
        gain_db: float,
        ceiling_dbtp: float,
    ) -> Iterator[Sound]:
        """The finished sound in order, amplified and limited; silence is left out.

        Any part comes out as it would in the whole, so parts may be encoded apart.
        """
        stop = self.end if stop is None else stop
        gain, limiter, position, known = amplitude(gain_db), None, 0, -1
        for stretch in self._stretches:
            if stretch.stop <= start - LEAD or stretch.start >= stop + LEAD:
                continue
            if limiter is None or stretch.start != known:
                if limiter is not None:
                    yield from _within(start, stop, position, limiter.flush())
                limiter = Limiter(gain=gain, ceiling_dbtp=ceiling_dbtp)
                position = stretch.start
            for at in range(stretch.start, stretch.stop, PIECE):
                ready = limiter.push(self._sound(stretch, at))
                yield from _within(start, stop, position, ready)
                position += len(ready)
            known = stretch.stop
        if limiter is not None:
            yield from _within(start, stop, position, limiter.flush())

    def _sound(self, stretch: _Stretch, start: int) -> NDArray[np.float32]:
        """A second of a stretch from `start` on, or what is left of it."""
        count = min(PIECE, stretch.stop - start)
        offset = stretch.offset + 2 * (start - stretch.start)
        coarse = np.frombuffer(self._read(offset, 2 * count), np.int16)
        return np.multiply(coarse, np.float32(stretch.scale), dtype=np.float32)

    def _read(self, offset: int, count: int) -> bytes:
        """From any thread: parts may be read at once. Raises OSError."""
        data = os.pread(self._file.fileno(), count, offset)
        if len(data) < count:
            raise OSError("The mixture's temporary file is incomplete.")
        return data

    def _measured(
        self, stretch: _Stretch
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Energies and sample peaks per millisecond."""
        steps = (stretch.stop - stretch.start) // STEP
        offset = stretch.offset + 2 * STEP * steps
        both = np.frombuffer(self._read(offset, 8 * steps), np.float32)
        return both[:steps], both[steps:]


def _summed(tracks: Sequence[Track], start: int, stop: int) -> _Sum:
    total = np.zeros(stop - start, np.float32)
    heard, ringing = np.zeros((stop - start) // BLOCK, np.bool_), 0
    for track in tracks:
        for position, sound in track.sounds(start, stop):
            at = position - start
            total[at : at + len(sound)] += sound
            rung = (at + len(sound) - 1) // BLOCK + 2  # a tenth more to ring out
            heard[at // BLOCK : rung] = True
            ringing = max(ringing, rung - len(heard))
    return _Sum(start, total, heard, ringing)


def _silence(samples: int) -> NDArray[np.float32]:
    return np.zeros(samples // BLOCK, np.float32)


def _within(
    start: int, stop: int, position: int, sound: NDArray[np.float32]
) -> Iterator[Sound]:
    """What of a stretch lies between two positions, if anything does."""
    skip, keep = max(0, start - position), min(len(sound), stop - position)
    if keep > skip:
        yield position + skip, sound[skip:keep]


def _runs(marked: NDArray[np.bool_], *, joined: int) -> Iterator[tuple[int, int]]:
    """First and behind-last of runs of marks, joined where fewer lie between."""
    at = np.flatnonzero(marked)
    breaks = np.flatnonzero(np.diff(at) > joined) + 1
    edges = [0, *breaks.tolist(), len(at)]
    for first, behind in pairwise(edges):
        if behind > first:
            yield int(at[first]), int(at[behind - 1]) + 1
