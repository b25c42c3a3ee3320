"""faster-whisper's model with a shorter audio context, where that is asked for.

The encoder always reads 30 seconds, three quarters of all cost, however short the sound
is. A shorter context makes provisional text several times cheaper; what it does to
accuracy is not known well, hence a setting that is off.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from faster_whisper import WhisperModel
from numpy.typing import NDArray

_FRAMES_PER_S = 100
# Room behind the sound, measured to keep the decoder from running on.
_SPARE_FRAMES = 256


class Whisper(WhisperModel):  # type: ignore[misc, unused-ignore]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._asked = threading.local()

    @contextmanager
    def context(self, seconds: float, *, enabled: bool) -> Iterator[None]:
        """Within it, this thread's encoder reads only about `seconds` of sound."""
        frames = int(seconds * _FRAMES_PER_S) + _SPARE_FRAMES
        self._asked.frames = frames + frames % 2 if enabled else None
        try:
            yield
        finally:
            self._asked.frames = None

    def encode(self, features: NDArray[np.float32]) -> Any:
        frames: int | None = getattr(self._asked, "frames", None)
        return super().encode(features if frames is None else features[..., :frames])
