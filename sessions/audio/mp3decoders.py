"""Decoders of MP3 frames: the system's libmpg123 by ctypes, or FFmpeg's by PyAV.

Both take consecutive frames and give 1,152 samples for each, in float32: where the
other has a sample, they agree to a tenth of a 16-bit step. They know no timeline: that
is `mp3decode`'s work. Measured: 16 us of CPU per frame, and 21 us.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from functools import cache
from typing import Any, Protocol

import av
import numpy as np
from numpy.typing import NDArray

from sessions.audio.mp3frames import FRAME_SAMPLES as FRAME

Frames = NDArray[np.uint8]
"""(n, bytes): one frame per row."""


class Decoder(Protocol):
    """Turns consecutive frames into sound; its state is the last frame it got."""

    def decode(self, frames: Frames) -> NDArray[np.float32]:
        """1,152 samples for each frame; silence for one that cannot be read."""


class Mpg123:
    """The system's libmpg123: two to three times as fast as FFmpeg's."""

    def __init__(self) -> None:
        library = _libmpg123()
        if library is None:
            raise OSError("libmpg123 is not installed here.")
        self._library = library
        self._handle = ctypes.c_void_p(library.mpg123_new(None, None))
        if not self._handle:
            raise OSError("libmpg123 gave no decoder.")
        # mpg123.h: MPG123_FLAGS = 1, MPG123_INDEX_SIZE = 15 (none: it would grow).
        library.mpg123_param(self._handle, 1, _MPG123_FLAGS, 0.0)
        library.mpg123_param(self._handle, 15, 0, 0.0)
        library.mpg123_open_feed(self._handle)

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self._library.mpg123_delete(self._handle)

    def decode(self, frames: Frames) -> NDArray[np.float32]:
        sound = self._feed(frames)
        if len(sound) == FRAME * len(frames):
            return sound
        self._library.mpg123_open_feed(self._handle)  # it lost count: one by one
        parts = [self._one(frame) for frame in frames]
        return np.concatenate(parts) if parts else sound

    def _one(self, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        sound = self._feed(frame.reshape(1, -1))
        if len(sound) == FRAME:
            return sound
        self._library.mpg123_open_feed(self._handle)
        return np.zeros(FRAME, np.float32)

    def _feed(self, frames: Frames) -> NDArray[np.float32]:
        """What comes out when these go in; less than expected if it stumbles."""
        data = np.ascontiguousarray(frames)
        sound = np.empty(FRAME * (len(frames) + 1), np.float32)
        filled, size, at = 0, data.nbytes, data.ctypes.data
        done = ctypes.c_size_t()
        while True:
            code = self._library.mpg123_decode(
                self._handle,
                ctypes.c_void_p(at),
                ctypes.c_size_t(size),
                ctypes.c_void_p(sound.ctypes.data + filled),
                ctypes.c_size_t(sound.nbytes - filled),
                ctypes.byref(done),
            )
            filled += done.value
            size = 0  # all input is buffered by the first call
            if code != _MPG123_NEW_FORMAT:
                return sound[: filled // 4]


class FFmpeg:
    """PyAV's mp3float, where there is no libmpg123."""

    def __init__(self) -> None:
        self._codec: Any = av.CodecContext.create("mp3float", "r")

    def decode(self, frames: Frames) -> NDArray[np.float32]:
        sound = np.zeros(FRAME * len(frames), np.float32)
        for index, frame in enumerate(frames):
            try:
                for part in self._codec.decode(av.Packet(frame.tobytes())):
                    pcm = part.to_ndarray()[0]
                    if len(pcm) == FRAME:
                        sound[index * FRAME : (index + 1) * FRAME] = pcm
            except av.FFmpegError:
                self._codec = av.CodecContext.create("mp3float", "r")
        return sound


_MPG123_NEW_FORMAT = -11
_MPG123_FLAGS = 0x20 | 0x80 | 0x400 | 0x4000 | 0x20000 | 0x400000
"""mpg123.h: QUIET, NO_RESYNC, FORCE_FLOAT, IGNORE_INFOFRAME, NO_PEEK_END,
NO_READAHEAD: each frame comes out when it went in, and nothing is left out."""


@cache
def _libmpg123() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL("libmpg123.so.0")
    except OSError:
        found = ctypes.util.find_library("mpg123")
        if found is None:
            return None
        library = ctypes.CDLL(found)
    library.mpg123_init()
    library.mpg123_new.restype = ctypes.c_void_p
    library.mpg123_new.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    library.mpg123_param.argtypes = [
        *(ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_double),
    ]
    library.mpg123_open_feed.argtypes = [ctypes.c_void_p]
    library.mpg123_delete.argtypes = [ctypes.c_void_p]
    return library


def best_decoder() -> Decoder:
    """libmpg123 where the system has it, else FFmpeg's."""
    return Mpg123() if _libmpg123() is not None else FFmpeg()
