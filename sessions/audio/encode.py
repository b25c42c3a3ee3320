"""A track's encoder: sound with positions in, MP3 frames on the session's grid out.

Frame f of a session covers the samples [1152 f, 1152 (f + 1)) at 48 kHz since its time
zero, for every track, whenever its speaker came. Owns what turns gaps into silence, and
silence into bytes that cost nothing.

After a little silence LAME (quality 7) has forgotten what was before: all its state but
how full its input is, is that of any other silence. Its output is one constant frame
then, which is put out without calling it; before the next sound it is given as many
zeros as bring its input to where it would be. The stream is the same bit for bit.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from sessions.audio.lame import Lame
from sessions.audio.mp3frames import FRAME_SAMPLES, frame_bytes

if TYPE_CHECKING:
    import ctypes
    from collections.abc import Iterator

    from numpy.typing import NDArray

SETTLED = 8 * FRAME_SAMPLES
"""Zeros after which LAME has forgotten. 2 frames are too few at times, none of 3 to 11
were (LAME 3.100 and 4.0, 64 and 128 kbit/s, speech and noise cut anywhere)."""
LOOK_AHEAD = 1376
"""Samples LAME must have before it gives the first frame: 1904 for the analysis
(BLKSIZE + 1152 - FFTOFFSET) less the 528 zeros it begins with (encoder.h)."""

_ZEROS = np.zeros(SETTLED, np.int16)


@cache
def _constant_frame(bitrate_kbps: int, using: ctypes.CDLL | None) -> bytes:
    """What this LAME makes of silence."""
    frames = Lame(bitrate_kbps, using=using).encode(_ZEROS)
    return frames[-frame_bytes(bitrate_kbps) :]


class TrackEncoder:
    """One LAME for the life of a track, from the session's frame `first_frame` on.

    Every method gives the frames completed by it, whole ones; LAME itself holds back
    the last 1376 to 2527 samples (29 to 53 ms). Belongs to one thread at a time. Raises
    what `Lame` raises.
    """

    def __init__(
        self,
        *,
        first_frame: int,
        bitrate_kbps: int = 64,
        using: ctypes.CDLL | None = None,
    ) -> None:
        self._lame = Lame(bitrate_kbps, using=using)
        self._silent = _constant_frame(bitrate_kbps, using)
        self._begin = self._position = first_frame * FRAME_SAMPLES
        self._settling = SETTLED  # zeros LAME must still see before it may be left out
        self._unheard = 0  # zeros LAME was not given
        self._bytes = 0

    @property
    def position(self) -> int:
        """Sound or silence is known up to here: samples at 48 kHz since time zero."""
        return self._position

    @property
    def frames_out(self) -> int:
        """How many frames it has given."""
        return self._bytes // len(self._silent)

    def put(self, position: int, pcm48: NDArray[np.int16]) -> bytes:
        """Sound at its place; what lies between it and the last is silence.

        Raises ValueError if it begins before `position` (overlap, or before the track).
        """
        if position < self._position:
            raise ValueError(f"sound at {position}, but {self._position} is past")
        parts = [self.advance(position)]
        for is_sound, piece in _runs(pcm48):
            if is_sound:
                parts.append(self._sound(piece))
            else:
                parts.append(self._silence(len(piece)))
        return b"".join(parts)

    def advance(self, position: int) -> bytes:
        """It is silent up to here. Does nothing if more is known already.

        Silence is 8 bytes per millisecond: three hours at once are 86 MB.
        """
        return self._silence(position - self._position)

    def finish(self) -> bytes:
        """The last frames. They hold all that was put after the decoder's delay, and
        end the file on the grid: one frame more than the sound has."""
        if self._position == self._begin:
            self._lame.finish()
            return b""
        into = (self._position - self._begin) % FRAME_SAMPLES
        padding = self._silence(-into % FRAME_SAMPLES)
        self._catch_up()
        return padding + self._counted(self._lame.finish())

    def _sound(self, pcm: NDArray[np.int16]) -> bytes:
        self._catch_up()
        self._settling = SETTLED
        self._position += len(pcm)
        return self._counted(self._lame.encode(pcm))

    def _silence(self, samples: int) -> bytes:
        if samples <= 0:
            return b""
        heard = min(samples, self._settling)
        self._settling -= heard
        self._position += samples
        self._unheard += samples - heard
        frames = self._counted(self._lame.encode(_ZEROS[:heard]))
        if self._unheard:
            missing = self._frames_due() - self.frames_out
            frames += self._counted(self._silent * missing)
        return frames

    def _catch_up(self) -> None:
        """Give LAME the part of a frame of zeros that it did not hear; what it makes of
        them is out already."""
        self._lame.encode(_ZEROS[: self._unheard % FRAME_SAMPLES])
        self._unheard = 0

    def _frames_due(self) -> int:
        """How many frames LAME would have given, had it heard everything."""
        ready = self._position - self._begin - LOOK_AHEAD
        return max(0, ready // FRAME_SAMPLES + 1)

    def _counted(self, frames: bytes) -> bytes:
        self._bytes += len(frames)
        return frames


def _runs(pcm: NDArray[np.int16]) -> Iterator[tuple[bool, NDArray[np.int16]]]:
    """A piece in runs that hold sound or are digital silence, to the frame's length."""
    starts = np.arange(0, len(pcm), FRAME_SAMPLES)
    if not len(starts):
        return
    busy = np.logical_or.reduceat(pcm != 0, starts)
    changes = np.flatnonzero(busy[1:] != busy[:-1]) + 1
    edges = [0, *starts[changes], len(pcm)]
    for begin, end in pairwise(edges):
        yield bool(busy[begin // FRAME_SAMPLES]), pcm[begin:end]
