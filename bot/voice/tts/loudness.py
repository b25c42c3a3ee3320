"""Bringing speech to one level while it is still being made. Pure.

The level is that of ITU-T P.56 in short: the power of what is speech, pauses left out.
It is measured over all that came so far, so that it settles and does not pump; the gain
follows slowly, and what would clip is bent, not cut.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]

FRAMES_A_SECOND = 50
AHEAD_FRAMES = 15
"""Sound that is heard before the first goes out: 0.3 s."""
MAX_GAIN_DB = 24.0
STEP_DB = 0.2
"""How far the gain moves from one frame to the next: 10 dB a second."""
SILENCE_DBFS = -55.0
PAUSE_DB = 20.0
"""So much below the loudest frame is a pause between words."""
LEAD_FRAMES = 1
"""Silence before the first sound that is kept."""
_BEND, _CEILING = 0.5, 0.7079
"""From here on peaks are bent; they never reach -3 dBFS."""


class Leveller:
    """One speech at `rate`, floats of ±1, to `target_dbfs` while somebody speaks."""

    def __init__(self, *, rate: int, target_dbfs: float) -> None:
        self._size = rate // FRAMES_A_SECOND
        self._target = target_dbfs
        self._rest: Sound = np.zeros(0, np.float32)
        self._ahead: deque[Sound] = deque()
        self._leading = True
        self._power = 0.0
        self._count = 0
        self._loudest_db = SILENCE_DBFS
        self._gain_db: float | None = None

    def put(self, sound: Sound) -> Sound:
        """What is ready, in whole frames."""
        sound = np.concatenate([self._rest, sound])
        whole = len(sound) - len(sound) % self._size
        self._rest = sound[whole:]
        ready = []
        for frame in sound[:whole].reshape(-1, self._size):
            self._weigh(frame)
            self._ahead.append(frame)
            if self._leading:
                self._drop_lead()
            elif len(self._ahead) > AHEAD_FRAMES:
                ready.append(self._next())
        return _joined(ready)

    def flush(self) -> Sound:
        """What is left: the speech is over."""
        if not self._leading and len(self._rest):
            self._ahead.append(self._rest)
        ready = [self._next() for _ in range(len(self._ahead))]
        return _joined([] if self._leading else ready)

    def _weigh(self, frame: Sound) -> None:
        power = float(np.dot(frame, frame)) / self._size
        level_db = 10 * math.log10(max(power, 1e-12))
        self._loudest_db = max(self._loudest_db, level_db)
        if level_db > max(SILENCE_DBFS, self._loudest_db - PAUSE_DB):
            self._power += power
            self._count += 1

    def _drop_lead(self) -> None:
        """Silence before the first word keeps people waiting."""
        if self._count:
            self._leading = False
        elif len(self._ahead) > LEAD_FRAMES:
            self._ahead.popleft()

    def _next(self) -> Sound:
        frame = self._ahead.popleft()
        before = self._wanted_db() if self._gain_db is None else self._gain_db
        step = self._wanted_db() - before
        self._gain_db = before + min(max(step, -STEP_DB), STEP_DB)
        gains = np.linspace(before, self._gain_db, len(frame), dtype=np.float32)
        return _bent(frame * np.power(np.float32(10), gains / 20))

    def _wanted_db(self) -> float:
        if not self._count:
            return 0.0
        level_db = 10 * math.log10(self._power / self._count)
        return min(max(self._target - level_db, -MAX_GAIN_DB), MAX_GAIN_DB)


def _bent(sound: Sound) -> Sound:
    """Peaks above _BEND pressed together below _CEILING, smoothly."""
    size = np.abs(sound)
    if not len(size) or float(size.max()) <= _BEND:
        return sound
    room = _CEILING - _BEND
    bent = _BEND + room * np.tanh((size - _BEND) / room)
    return np.where(size > _BEND, np.copysign(bent, sound), sound).astype(np.float32)


def _joined(frames: list[Sound]) -> Sound:
    return np.concatenate(frames) if frames else np.zeros(0, np.float32)
