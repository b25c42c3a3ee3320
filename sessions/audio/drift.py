"""Drift: two clocks that do not run alike, brought together where it is quiet.

Decides how far a stream's origin should move; moving it is the TrackClock's work. All
times and offsets are samples at 48 kHz.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from sessions.audio.frames import TIMELINE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray


def samples(milliseconds: float) -> int:
    """Milliseconds as samples of the timeline."""
    return round(milliseconds * TIMELINE_RATE / 1000)


WINDOW = samples(10_000)
"""The running minimum of the delay looks back this far: 100 ppm drift 1 ms in it."""
STEP = samples(10)
"""Drift below this is left alone."""
FORCED = samples(30)
"""Drift above this does not wait for quiet: the promise is 40 ms."""
SETTLED = samples(500)
"""A minimum that fell within this time belongs to a stream still catching up."""
START_UP = samples(1000)
"""How much later than its successors a stream's first frame may have come."""
OWED = samples(10_000)
"""So much of what was called holes may be taken back in pauses."""
PATIENCE = samples(3000)
"""Speech has a pause within this time."""
PPM = 2000
"""No sound card drifts faster. What does is not paced by time, and is left alone."""
QUIET_RMS = 650.0
"""Never quiet above this (-34 dBFS of int16), whatever the room's noise."""


class RunningMinimum:
    """The least value seen within the last `span` of a rising time."""

    def __init__(self, span: int) -> None:
        self._span = span
        self._rising: deque[tuple[int, float]] = deque()

    def add(self, at: int, value: float) -> None:
        while self._rising and self._rising[-1][1] >= value:
            self._rising.pop()
        self._rising.append((at, value))
        while self._rising[0][0] < at - self._span:
            self._rising.popleft()

    def clear(self) -> None:
        self._rising.clear()

    @property
    def value(self) -> float | None:
        return self._rising[0][1] if self._rising else None


class DriftCorrection:
    """Follows the least delay of one stream and says what to correct, and when."""

    def __init__(self) -> None:
        self._offsets = RunningMinimum(WINDOW)
        self._noise = RunningMinimum(WINDOW)
        self._began: int | None = None
        self._now = 0
        self._fell_to: float | None = None
        self._fell_at = 0
        self._allowance = float(FORCED)  # how far the origin may move now
        self._start_up = START_UP  # how far back it may move while young
        self._quiet_at: int | None = None
        self._owed = 0  # samples of holes that may have been none

    def note(self, arrival: int, offset: int) -> None:
        """A frame came on time at `arrival` and says: sample 0 stands at `offset`."""
        if self._began is None:
            self._began = arrival
        earned = max(arrival - self._now, 0) * PPM / 1_000_000 if self._now else 0.0
        self._allowance = min(self._allowance + earned, FORCED)
        self._now = arrival
        self._offsets.add(arrival, offset)
        if self._fell_to is None or offset < self._fell_to - STEP / 2:
            self._fell_to, self._fell_at = offset, arrival

    def restart(self, hole: int) -> None:
        """The origin was moved for a hole: what was known of the delay is void. Should
        it have been no hole but a delay, so much may be taken back."""
        self._offsets.clear()
        self._fell_to = None
        self._owed = min(self._owed + max(hole, 0), OWED)

    def due(self, origin: int, pcm: NDArray[np.int16], *, longest: int) -> int:
        """How far to move `origin` before this frame, `longest` at most: later (a gap)
        if positive, earlier (that many samples of it dropped) if negative."""
        least = self._offsets.value
        quiet = self._is_quiet(pcm)
        if least is None or self._now - self._fell_at < SETTLED:
            return 0
        error = int(least) - origin
        if abs(error) < STEP or not (quiet or self._is_forced(error)):
            return 0
        return self._spend(max(min(error, longest), -longest), quiet=quiet)

    def _is_forced(self, error: int) -> bool:
        """Whether it is moved in the midst of speech. To move back costs sound: only
        where there was no pause for long."""
        assert self._quiet_at is not None  # `_is_quiet` was asked before
        has_waited = self._now - self._quiet_at > PATIENCE
        return abs(error) > FORCED and (error > 0 or has_waited)

    def _spend(self, move: int, *, quiet: bool) -> int:
        """As much of `move` as no sound card's drift forbids. Where it is not quiet,
        all that may be at once, and rarely: many small jumps are noise."""
        assert self._began is not None
        if move < 0 and quiet and self._owed:
            # Sound comes earlier than it could: what was called a hole was a delay.
            move = max(move, -self._owed)
            self._owed += move
            return move
        if move < 0 and self._now - self._began < WINDOW:
            move = max(move, -self._start_up)
            self._start_up += move
            return move
        allowed = int(self._allowance)
        if not quiet and allowed < FORCED:
            return 0
        move = max(min(move, allowed), -allowed)
        self._allowance -= abs(move)
        return move

    def _is_quiet(self, pcm: NDArray[np.int16]) -> bool:
        if not len(pcm):
            return True
        loud = pcm.astype(np.float32)
        rms = float(np.sqrt(np.vdot(loud, loud) / len(loud)))
        self._noise.add(self._now, rms)
        floor = self._noise.value
        is_quiet = rms <= QUIET_RMS and (floor is None or rms <= 2 * floor + 1)
        if is_quiet or self._quiet_at is None:
            self._quiet_at = self._now
        return is_quiet
