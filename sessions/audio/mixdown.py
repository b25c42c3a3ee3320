"""The master: any number of tracks in step, summed, as loud as wanted, limited.

Two passes at constant memory. The first decodes each track once, a window at a time,
and keeps the sum with its energies and peaks in a temporary file; windows may be added
while the session still runs. The second reads the sum back, amplified and limited. The
gain between them is found from the energies and peaks alone. Where nobody speaks there
is nothing in the file, and nothing is computed.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
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
from sessions.audio.loudness import BLOCK, KWeighting, integrated

PAUSE = TIMELINE_RATE
"""A silence this long in all tracks is left out: filters and limiter are at rest."""
LEAD = TIMELINE_RATE
"""A part is limited from this long before its start, as if all had been."""
MAX_GAIN_DB = 30.0
"""What is this quiet is noise rather than people: it is not amplified further."""
BETWEEN_DB = 0.1
"""What true peaks of speech exceed sample peaks by at 48 kHz, for the search."""
LAME_LOSS_LU = 0.4
"""What LAME's quality 7 takes from speech, at 64 and at 128 kbit/s: without noise
shaping, small coefficients become zero. Measured on synthetic voices, 0.35 to 0.45."""
CLOSE_LU = 0.02
_TRIES = 10
_MIXING = 0.4
"""The share of the first pass in the work; LAME is most of the second."""
_INT16 = 32_767


class Track(Protocol):
    """What can be mixed: `TrackReader`, or anything like it."""

    def sounds(
        self, start: int, stop: int
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """The audible stretches between two positions."""


class Encode(Protocol):
    """Takes the master: int16 at 48 kHz in order; what is left out is silence."""

    def __call__(self, position: int, pcm: NDArray[np.int16]) -> object: ...


@dataclass(frozen=True, slots=True)
class Fit:
    """A gain, and the loudness without it and with it and the limiter."""

    gain_db: float
    before_lufs: float | None
    loudness_lufs: float | None


@dataclass(frozen=True, slots=True)
class Mixed:
    """What a mix came to. Loudness is None where there is nothing but silence, and
    as computed before the encoder takes its part."""

    samples: int
    loudness_before_lufs: float | None
    loudness_lufs: float | None
    gain_db: float


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Sound in the file: int16 of `scale`, then energies and peaks per millisecond."""

    start: int
    stop: int
    scale: float
    offset: int


class Mixture:
    """The sum of tracks so far, in a temporary file that goes with it."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder`: where there is room for 7 MB per minute of talk."""
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self._stretches: list[_Stretch] = []
        self._weigh = KWeighting()
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

    def add(self, tracks: Sequence[Track], stop: int) -> None:
        """Mix on from the last end to `stop` (samples at 48 kHz; rounded up to a
        tenth of a second)."""
        start, self.end = self.end, -(-stop // BLOCK) * BLOCK
        total: NDArray[np.float32] | None = None
        heard = np.zeros((self.end - start) // BLOCK, np.bool_)
        heard[: self._ringing] = True
        self._ringing = max(0, self._ringing - len(heard))
        for track in tracks:
            for position, sound in track.sounds(start, self.end):
                if total is None:
                    total = np.zeros(self.end - start, np.float32)
                at = position - start
                total[at : at + len(sound)] += sound
                rung = (at + len(sound) - 1) // BLOCK + 2  # a tenth more to ring out
                heard[at // BLOCK : rung] = True
                self._ringing = max(self._ringing, rung - len(heard))
        if total is None:
            total = np.zeros(BLOCK * int(np.count_nonzero(heard)), np.float32)
        for first, last in _runs(heard, joined=PAUSE // BLOCK):
            self._keep(start + first * BLOCK, total[first * BLOCK : last * BLOCK])

    def _keep(self, start: int, sound: NDArray[np.float32]) -> None:
        behind = self._stretches[-1].stop if self._stretches else 0
        if start - behind < PAUSE:
            sound = np.concatenate((np.zeros(start - behind, np.float32), sound))
            start = behind
        else:
            self._weigh.reset()
        weighted = self._weigh(sound).reshape(-1, STEP)
        energies = np.einsum("ij,ij->i", weighted, weighted).astype(np.float32) / STEP
        peaks = sample_peaks(sound)
        scale = max(float(peaks.max()), 1e-6) / _INT16
        coarse = np.rint(sound * np.float32(1 / scale)).astype(np.int16)
        offset = self._file.seek(0, 2)
        self._file.write(b"".join((coarse.data, energies.data, peaks.data)))
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
        gain = min(MAX_GAIN_DB, target_lufs - before)
        best = Fit(0.0, before, -math.inf)
        for _ in range(_TRIES):
            found = self.loudness(gain, ceiling_dbtp=ceiling_dbtp)
            if found is None or best.loudness_lufs is None:
                break
            if abs(target_lufs - found) < abs(target_lufs - best.loudness_lufs):
                best = Fit(gain, before, found)
            if abs(target_lufs - found) < CLOSE_LU or gain == MAX_GAIN_DB:
                break
            gain = min(MAX_GAIN_DB, gain + 1.2 * (target_lufs - found))
        return best

    def sounds(
        self,
        start: int = 0,
        stop: int | None = None,
        *,
        gain_db: float,
        ceiling_dbtp: float,
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
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
            ready = limiter.push(self._sound(stretch))
            yield from _within(start, stop, position, ready)
            position, known = position + len(ready), stretch.stop
        if limiter is not None:
            yield from _within(start, stop, position, limiter.flush())

    def _sound(self, stretch: _Stretch) -> NDArray[np.float32]:
        self._file.seek(stretch.offset)
        count = stretch.stop - stretch.start
        coarse = np.frombuffer(self._file.read(2 * count), np.int16)
        return np.asarray(coarse * np.float32(stretch.scale), dtype=np.float32)

    def _measured(
        self, stretch: _Stretch
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Energies and sample peaks per millisecond."""
        steps = (stretch.stop - stretch.start) // STEP
        self._file.seek(stretch.offset + 2 * STEP * steps)
        both = np.frombuffer(self._file.read(8 * steps), np.float32)
        return both[:steps], both[steps:]


def mix(
    tracks: Sequence[Track],
    *,
    end: int,
    encode: Encode,
    window_s: float = 60,
    target_lufs: float = -16.0,
    ceiling_dbtp: float = -1.5,
    loss_lu: float = LAME_LOSS_LU,
    folder: Path | None = None,
    progress: Callable[[float], object] = lambda _: None,
) -> Mixed:
    """Mix tracks from the session's zero to `end` and hand the result to `encode`.

    `loss_lu` is what the encoder takes away, made up for beforehand. `progress` gets
    the share of the work that is done. Raises what the tracks and `encode` raise, and
    OSError when there is no room.
    """
    window = max(BLOCK, round(window_s * TIMELINE_RATE))
    with Mixture(folder) as mixture:
        while mixture.end < end:
            mixture.add(tracks, min(end, mixture.end + window))
            progress(_MIXING * min(1.0, mixture.end / end))
        fit = mixture.fit(target_lufs + loss_lu, ceiling_dbtp=ceiling_dbtp)
        for position, sound in mixture.sounds(
            0, end, gain_db=fit.gain_db, ceiling_dbtp=ceiling_dbtp
        ):
            encode(position, as_int16(sound))
            progress(_MIXING + (1 - _MIXING) * position / end)
        progress(1.0)
        return Mixed(end, fit.before_lufs, fit.loudness_lufs, fit.gain_db)


def _silence(samples: int) -> NDArray[np.float32]:
    return np.zeros(samples // BLOCK, np.float32)


def as_int16(sound: NDArray[np.float32]) -> NDArray[np.int16]:
    """Rounded to 16 bits, and clipped where it must be."""
    scaled = np.clip(np.rint(sound * np.float32(32_768)), -32_768, _INT16)
    return np.asarray(scaled, dtype=np.int16)


def _within(
    start: int, stop: int, position: int, sound: NDArray[np.float32]
) -> Iterator[tuple[int, NDArray[np.float32]]]:
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
