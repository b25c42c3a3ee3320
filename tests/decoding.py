"""What is in a sound file, as FFmpeg hears it: no code of ours judges itself."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray


def decode(file: bytes | Path) -> NDArray[Any]:
    """The first channel, as its codec gives it: int16 of a WAV or FLAC, float32 (full
    scale is 1) of an MP3."""
    data = file if isinstance(file, bytes) else file.read_bytes()
    container: Any = av.open(io.BytesIO(data))
    with container:
        frames = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    return np.concatenate(frames)


def as_floats(file: bytes | Path) -> NDArray[np.float32]:
    """The same with full scale at 1, whatever the codec."""
    sound = decode(file)
    scale = 32768 if sound.dtype == np.int16 else 1
    return (sound / scale).astype(np.float32)
