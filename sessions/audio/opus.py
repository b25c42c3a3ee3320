"""Opus: one track's packets, as RTP brings them, to mono sound at 48 kHz.

By libopus, which PyAV brings along: it gives each packet all of its samples, keeps them
within 16 bits, and mixes stereo down by itself. FFmpeg's own decoder is no faster once
its floats are made samples, and gives the first packets of a narrow band too little.

What is lost is not concealed: a gap is the clock's matter, and stays silent.
"""

from __future__ import annotations

from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from sessions.audio.frames import TIMELINE_RATE


class OpusError(ValueError):
    """The packet is not Opus, or damaged: its sound is lost, and nothing else."""


class OpusDecoder:
    """The decoder of one track, for one thread: it remembers the packet before."""

    def __init__(self) -> None:
        self._codec: Any = av.CodecContext.create("libopus", "r")
        self._codec.sample_rate, self._codec.layout = TIMELINE_RATE, "mono"

    def decode(self, packet: bytes) -> NDArray[np.int16]:
        """Its sound, 2.5 to 120 ms. After an OpusError, go on with the next packet."""
        if not packet:
            raise OpusError("An empty packet holds no sound.")  # to FFmpeg: the end
        try:
            frames = self._codec.decode(av.Packet(packet))
        except av.FFmpegError as e:
            raise OpusError("A packet is not Opus, or damaged.") from e
        sound = [frame.to_ndarray()[0] for frame in frames]
        if len(sound) != 1:
            raise OpusError("A packet holds no sound.")
        return np.asarray(sound[0], np.int16)
