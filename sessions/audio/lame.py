"""LAME by ctypes: PCM in, MP3 frames of one length out.

Owns the choice of the library and the life of its C handle. It knows no timeline:
that is `encode`'s work.

Two builds export the same C functions: the system's libmp3lame.so.0, and the shared
object of the `lameenc` wheel, which is loaded but never imported. Dense speech at
48 kHz mono, 64 kbit/s, quality 7, by `python bench/encode.py` on one core of 2026, in
ms of CPU per second of sound: LAME 3.100 (Debian) 2.6 to 3.1, LAME 4.0 (lameenc 1.9)
2.8 to 3.0; PyAV's libmp3lame 7.3 to 9.1. The first two differ by less than their runs
do, so the system's is preferred: its distribution mends it. Their frames differ.

Quality 7 has no noise shaping. At 64 kbit/s mono, speech scored best with it (PESQ
4.39, against 4.26 for quality 5 and 4.28 for quality 2), at half the price of
quality 5, and its state forgets: after a little silence the encoder is as it was
(`encode` rests on this).

Threads: one `Lame` belongs to one thread at a time, as its C state has no lock; any
number of them may run side by side, as ctypes lets go of the interpreter's lock.
"""

from __future__ import annotations

import ctypes
import weakref
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from sessions.audio.frames import TIMELINE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

SYSTEM = ("libmp3lame.so.0", "libmp3lame.0.dylib")
"""What the dynamic linker calls LAME's stable interface on Linux and macOS."""

QUALITY = 7
"""See above. LAME's scale: 0 is the slowest, 9 the fastest; in LAME 3.100, 8 and 9 give
the same bytes as 7, at 128 kbit/s too."""

_BLOCK = 11_520
"""Samples per call of LAME: bounds the buffer each encoder keeps (22 kB)."""
_ROOM = _BLOCK * 5 // 4 + 7200
"""lame.h: `mp3buf_size in bytes = 1.25*num_samples + 7200`; also what a flush needs."""
_MONO = 3
"""lame.h: MPEG_mode."""


class LameError(RuntimeError):
    """LAME refused a setting or a piece of sound, or was used after its end."""


class LameMissingError(LameError):
    """There is no LAME on this machine."""


@cache
def library() -> ctypes.CDLL:
    """The process's LAME. Raises LameMissingError."""
    for name in (*SYSTEM, wheel()):
        if name:
            try:
                return load(name)
            except OSError:
                continue
    raise LameMissingError(
        "No MP3 encoder: install the system's libmp3lame (Debian: libmp3lame0) or "
        "the Python package lameenc."
    )


def wheel() -> str | None:
    """Where the lameenc package keeps its shared object."""
    spec = find_spec("lameenc")
    return spec.origin if spec else None


@cache
def load(name: str) -> ctypes.CDLL:
    """LAME from one shared object. Raises OSError if it is not there or not LAME."""
    lib = ctypes.CDLL(name)
    handle, number, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    try:
        _declare(lib, "get_lame_version", text)
        _declare(lib, "lame_init", handle)
        _declare(lib, "lame_init_params", number, handle)
        _declare(lib, "lame_get_brate", number, handle)
        _declare(lib, "lame_close", number, handle)
        _declare(
            lib, "lame_encode_buffer", number, handle, handle, handle, number, handle,
            number,
        )  # fmt: skip
        _declare(lib, "lame_encode_flush", number, handle, handle, number)
        for setting in _settings(0, 0):
            _declare(lib, f"lame_set_{setting}", number, handle, number)
    except AttributeError as error:
        raise OSError(f"{name} is not LAME") from error
    return lib


def version(lib: ctypes.CDLL) -> str:
    """As LAME gives it: "3.100"."""
    said: bytes = lib.get_lame_version()
    return said.decode("ascii", "replace")


def _declare(lib: ctypes.CDLL, name: str, result: type, *arguments: type) -> None:
    function = getattr(lib, name)
    function.restype, function.argtypes = result, list(arguments)


def _settings(bitrate_kbps: int, quality: int) -> dict[str, int]:
    return {
        "in_samplerate": TIMELINE_RATE,
        "out_samplerate": TIMELINE_RATE,
        "num_channels": 1,
        "mode": _MONO,
        "VBR": 0,
        "brate": bitrate_kbps,
        "quality": quality,
        "disable_reservoir": 1,  # every frame stands alone, so a cut harms nothing
        "bWriteVbrTag": 0,
        "write_id3tag_automatic": 0,
    }


class Lame:
    """One continuous MP3 stream: CBR, mono, 48 kHz, every frame of the same length.

    Raises LameMissingError, and LameError if LAME knows no such bit rate. `using`
    takes another library than the process's own.
    """

    def __init__(
        self,
        bitrate_kbps: int = 64,
        *,
        quality: int = QUALITY,
        using: ctypes.CDLL | None = None,
    ) -> None:
        self._lib = using or library()
        handle = self._lib.lame_init()
        if not handle:
            raise LameError("LAME has no memory for another stream")
        self._handle: int | None = handle
        self._close = weakref.finalize(self, self._lib.lame_close, handle)
        for setting, value in _settings(bitrate_kbps, quality).items():
            if getattr(self._lib, f"lame_set_{setting}")(handle, value) < 0:
                raise LameError(f"LAME refuses {setting} {value}")
        refused = self._lib.lame_init_params(handle) < 0
        if refused or self._lib.lame_get_brate(handle) != bitrate_kbps:
            raise LameError(f"LAME refuses {bitrate_kbps} kbit/s")
        self._out = ctypes.create_string_buffer(_ROOM)

    def encode(self, pcm: NDArray[np.int16]) -> bytes:
        """The frames that mono `pcm` at 48 kHz completes: whole ones, or none.

        Raises LameError after the stream's end, TypeError for other than int16.
        """
        if self._handle is None:
            raise LameError("this MP3 stream has ended")
        if pcm.dtype != np.int16 or pcm.ndim != 1:
            raise TypeError(f"mono int16 is wanted, not {pcm.dtype} {pcm.shape}")
        pcm = np.ascontiguousarray(pcm)
        return b"".join(
            self._encode(pcm[at : at + _BLOCK]) for at in range(0, len(pcm), _BLOCK)
        )

    def _encode(self, pcm: NDArray[np.int16]) -> bytes:
        done = self._lib.lame_encode_buffer(
            self._handle, pcm.ctypes.data, None, len(pcm), self._out, _ROOM
        )
        return self._taken(done)

    def finish(self) -> bytes:
        """The last frames: at least 576 zeros follow the last sample into them.

        Closes the handle; a second call gives nothing.
        """
        if self._handle is None:
            return b""
        try:
            return self._taken(
                self._lib.lame_encode_flush(self._handle, self._out, _ROOM)
            )
        finally:
            self._handle = None
            self._close()

    def _taken(self, done: int) -> bytes:
        if done < 0:
            raise LameError(f"LAME failed with {done}")
        return ctypes.string_at(self._out, done)
