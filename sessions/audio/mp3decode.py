"""Reading a track back: frames of our MP3 to sound at its place on the timeline.

A track is whole frames of one size (64 kbit/s, 48 kHz, mono, no bit reservoir) on the
session's frame grid, in one piece or several. Silent frames are not decoded, and any
window can be read: a frame's sound needs the frame before it and nothing else.

A frame that is damaged, here or on its way, is silence in its place and counted; a
piece most of whose frames are not ours raises `ForeignTrackError`; a last frame that
was cut off is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from sessions.audio.mp3decoders import Decoder, best_decoder
from sessions.audio.mp3frames import DELAY
from sessions.audio.mp3frames import FRAME_SAMPLES as FRAME

FRAME_BYTES = 192
SILENT = b"\xff\xfb\x54\xc4" + bytes(FRAME_BYTES - 4)
LOUDEST = 2.0
"""Decoded samples beyond this (6 dB over full scale) come from damage, not LAME."""
BATCH = 1_024
"""Frames decoded at once: 24 s, 4.7 MB."""
_MAIN_DATA_BITS = 8 * (FRAME_BYTES - 4 - 17)
_LOOKED_AT = 64

Frames = NDArray[np.uint8]
"""(n, 192): one frame per row."""


class ForeignTrackError(ValueError):
    """This file is not a track of ours: its frames are something else."""


def ours(frames: Frames) -> NDArray[np.bool_]:
    """Which frames are whole ones of ours: header, no reservoir, data that fits."""
    head = (frames[:, 0] == 0xFF) & (frames[:, 1] == 0xFB) & (frames[:, 2] == 0x54)
    mono = (frames[:, 3] & 0xC0) == 0xC0
    own = (frames[:, 4] == 0) & (frames[:, 5] & 0x80 == 0)
    fits = sum(main_data_bits(frames)) <= _MAIN_DATA_BITS
    return np.asarray(head & mono & own & fits)


def main_data_bits(frames: Frames) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """part2_3_length of both granules (ISO 11172-3, 2.4.1.7, one channel): 12 bits
    each, 18 and 77 bits into the side information. 0: the granule is silent."""
    a, b, c, d, e = (frames[:, byte].astype(np.int32) for byte in (6, 7, 13, 14, 15))
    return (a & 0x3F) << 6 | b >> 2, (c & 0x07) << 9 | d << 1 | e >> 7


def audible(frames: Frames) -> NDArray[np.bool_]:
    """Which frames hold sound of their own."""
    first, second = main_data_bits(frames)
    return (first | second) > 0


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive frames of a track: a chunk, a fragment, or a spool file."""

    source: Path | bytes
    first_frame: int = 0
    """On the session's grid, of the first frame behind the header."""
    header_frames: int = 0
    """1 if an Info frame leads."""

    def __len__(self) -> int:
        if isinstance(self.source, bytes):
            size = len(self.source)
        else:
            size = self.source.stat().st_size
        return max(0, size // FRAME_BYTES - self.header_frames)

    def read(self, first: int, count: int) -> Frames:
        """Frames by their number behind the header; fewer where the piece ends."""
        at = (self.header_frames + first) * FRAME_BYTES
        if isinstance(self.source, bytes):
            data = self.source[at : at + count * FRAME_BYTES]
        else:
            with self.source.open("rb") as file:
                file.seek(at)
                data = file.read(count * FRAME_BYTES)
        whole = len(data) // FRAME_BYTES
        flat = np.frombuffer(data, np.uint8, whole * FRAME_BYTES)
        return flat.reshape(whole, FRAME_BYTES)


class TrackReader:
    """One track, in windows of absolute positions (samples at 48 kHz). Several threads
    may read it at once."""

    def __init__(
        self, pieces: Sequence[Piece], *, decoder: Decoder | None = None
    ) -> None:
        """Pieces may come in any order and leave holes; where two hold the same
        frame, the later in the list is heard. Raises ForeignTrackError, OSError."""
        self._spans = [
            (piece.first_frame, piece.first_frame + len(piece), piece)
            for piece in pieces
        ]
        for piece in pieces:
            _refuse_foreign(piece)
        self._decoder = decoder or best_decoder()
        self._decoding = Lock()
        self._damaged: set[int] = set()
        self.first_frame = min((start for start, _, _ in self._spans), default=0)
        self.end_frame = max((end for _, end, _ in self._spans), default=0)

    @property
    def end(self) -> int:
        """The position behind the last sample."""
        return self.end_frame * FRAME - DELAY

    @property
    def damaged_frames(self) -> int:
        """How many frames read so far were read as silence because of damage."""
        return len(self._damaged)

    def window(self, start: int, stop: int) -> NDArray[np.float32]:
        """Sound from `start` to `stop`; zeros where the track has none."""
        window = np.zeros(stop - start, np.float32)
        for position, sound in self.sounds(start, stop):
            window[position - start : position - start + len(sound)] = sound
        return window

    def sounds(
        self, start: int, stop: int
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """The audible stretches of a window in order, each with its position."""
        first = max(self.first_frame, (start + DELAY) // FRAME)
        end = min(self.end_frame + 1, -(-(stop + DELAY) // FRAME))
        for batch in range(first, end, BATCH):
            for frame, sound in self._decoded(batch, min(end, batch + BATCH)):
                at = frame * FRAME - DELAY
                skip, keep = max(0, start - at), min(len(sound), stop - at)
                if keep > skip:
                    yield at + skip, sound[skip:keep]

    def _decoded(
        self, first: int, end: int
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Runs of frames that sound, each with its first frame's number.

        A frame rings on through the next one (half of the MDCT's window, and the
        synthesis filter), and a whole silent frame brings the decoder to rest. So: the
        frame before the window, then every audible frame and the one behind it.
        """
        frames = self.frames(first - 1, end)
        sounding = audible(frames)
        needed = sounding.copy()
        needed[1:] |= sounding[:-1]
        if not needed[1:].any():
            return
        needed[0] = True
        fed = np.flatnonzero(needed)
        with self._decoding:
            sound = self._decoder.decode(frames[fed])
        if not np.isfinite(sound @ sound):
            np.nan_to_num(sound, copy=False)
        np.clip(sound, -LOUDEST, LOUDEST, out=sound)
        breaks = np.flatnonzero(np.diff(fed) > 1) + 1
        edges = [1, *(breaks[breaks > 1]).tolist(), len(fed)]
        for begin, stop in pairwise(edges):
            if stop > begin:
                run = sound[begin * FRAME : stop * FRAME]
                yield first - 1 + int(fed[begin]), run

    def frames(self, first: int, end: int) -> Frames:
        """Frames of the grid; silent ones in holes and in place of damaged ones."""
        frames = np.empty((end - first, FRAME_BYTES), np.uint8)
        frames[:] = np.frombuffer(SILENT, np.uint8)
        for start, stop, piece in self._spans:
            low, high = max(first, start), min(end, stop)
            if low < high:
                read = piece.read(low - start, high - low)
                frames[low - first : low - first + len(read)] = read
        bad = np.flatnonzero(~ours(frames))
        frames[bad] = np.frombuffer(SILENT, np.uint8)
        self._damaged.update((bad + first).tolist())
        return frames


def _refuse_foreign(piece: Piece) -> None:
    """Look at frames all over the piece: half of them must be ours."""
    steps = sorted({len(piece) * step // _LOOKED_AT for step in range(_LOOKED_AT)})
    seen = [ours(piece.read(step, 1)) for step in steps if step < len(piece)]
    if seen and 2 * sum(int(one.sum()) for one in seen) < len(seen):
        raise ForeignTrackError("Most of this file is no MP3 track of ours.")
