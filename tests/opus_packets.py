"""Sound as Opus packets, by libopus as PyAV brings it."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

LOOK_AHEAD = 312
"""Samples by which libopus' encoder comes late (opus_encoder.c: 2.5 + 4 ms)."""


def encoded(
    pcm: NDArray[np.int16], *, layout: str = "mono", bps: int = 64_000, ms: float = 20
) -> list[bytes]:
    codec: Any = av.CodecContext.create("libopus", "w")
    codec.sample_rate, codec.layout, codec.format = 48_000, layout, "s16"
    codec.bit_rate, codec.options = bps, {"frame_duration": str(ms)}
    found = []
    step = int(ms * 48)
    for at in range(0, len(pcm) - step + 1, step):
        part = np.repeat(pcm[at : at + step], 2 if layout == "stereo" else 1)
        frame: Any = av.AudioFrame.from_ndarray(part[None], format="s16", layout=layout)
        frame.sample_rate, frame.pts = 48_000, at
        found += [bytes(packet) for packet in codec.encode(frame)]
    return found
