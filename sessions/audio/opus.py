"""Opus: one track's packets, as RTP brings them, to mono sound at 48 kHz.

By libopus, which PyAV brings along: it gives each packet all of its samples, keeps them
within 16 bits, and mixes stereo down by itself. Called without PyAV, and without
letting go of the interpreter: a packet costs a third less, and who lets go for each one
waits for it behind every other thread.

What is lost is not concealed: a gap is the clock's matter, and stays silent.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from sessions.audio.frames import TIMELINE_RATE

WHEELS = ("av.libs/libopus-*.so*", "av/.dylibs/libopus*.dylib", "av.libs/opus-*.dll")
"""Beside PyAV's package: Linux's, macOS's, Windows's."""


class OpusError(ValueError):
    """The packet is not Opus, or damaged: its sound is lost, and nothing else."""


class OpusDecoder:
    """The decoder of one track, for one thread: it remembers the packet before. Raises
    OSError where there is no libopus."""

    def __init__(self) -> None:
        library = _library()
        self._state = ctypes.create_string_buffer(library.opus_decoder_get_size(1))
        library.opus_decoder_init(self._state, TIMELINE_RATE, 1)
        self._decode = library.opus_decode
        self._count = library.opus_decoder_get_nb_samples

    def decode(self, packet: bytes) -> NDArray[np.int16]:
        """Its sound, 2.5 to 120 ms. After an OpusError, go on with the next packet."""
        if not packet:
            raise OpusError("An empty packet holds no sound.")  # it would conceal one
        size = len(packet)
        # Where it is to lie in the end: to copy 2 kB, numpy lets go of the interpreter.
        sound = np.empty(max(self._count(self._state, packet, size), 0), np.int16)
        at = sound.__array_interface__["data"][0]
        count = self._decode(self._state, packet, size, at, len(sound), 0)
        if count <= 0:
            raise OpusError("A packet is not Opus, or damaged.")
        return sound[:count]


def paths() -> Iterator[str]:
    """Where a libopus may be. PyAV's file has a name that changes with each release;
    the system's comes second."""
    beside = Path(av.__file__).parents[1]
    for pattern in WHEELS:
        yield from map(str, sorted(beside.glob(pattern)))
    if (system := ctypes.util.find_library("opus")) is not None:
        yield system


@cache
def _library() -> Any:
    for path in paths():
        try:
            library = ctypes.PyDLL(path)
        except OSError:
            continue
        packet = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32
        sound = ctypes.c_void_p, ctypes.c_int, ctypes.c_int
        library.opus_decode.argtypes = [*packet, *sound]
        library.opus_decoder_get_nb_samples.argtypes = packet
        return library
    raise OSError("There is no libopus: PyAV's wheels bring one along.")
