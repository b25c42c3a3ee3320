"""How fast a line is read: what is sent in time comes first, a flood last.

Nothing is lost by it: what is not read waits in the kernel, and TCP tells the sender.
Pure: seconds of sound and of the clock in, seconds to wait out.
"""

from __future__ import annotations

PACE = 1.25
"""Sound is read at most so much faster than time, behind the first BURST_S: what a
broken network held back comes through, and a flood costs little more than a call."""
BURST_S = 2.0
PAUSE_S = 0.1
OTHERS_PER_S, OTHERS_BURST = 100.0, 200.0
"""Messages that are no sound: nothing of them tells how much time they took."""
KEY = 5.0
"""A key counts for so many: nobody presses twenty in a second for long."""
LAG_S, AHEAD_S, FLOOD_PAUSE_S = 0.1, 1.0, 2.0
"""While our loop lags so much, whoever is so far ahead of time waits for so long."""
ACCEPTED_AFTER_S = 10.0
"""How long a connection may have waited in the kernel before we had a moment for it."""


class Intake:
    """What one line has sent, against the time since it was there."""

    def __init__(self, *, now: float) -> None:
        self._began = self._counted_at = now
        self._credit_s = BURST_S
        self._heard_s = 0.0
        self._others, self._told_at = OTHERS_BURST, now

    def heard(self, seconds: float, *, now: float, late_s: float) -> float:
        """Count sound; for how many seconds to read no further. `late_s` is by how much
        our loop lags."""
        earned_s = (now - self._counted_at) * PACE
        self._counted_at = now
        self._credit_s = min(self._credit_s + earned_s, BURST_S) - seconds
        self._heard_s += seconds
        if late_s > LAG_S and self.ahead_s(now) > AHEAD_S:
            return FLOOD_PAUSE_S
        return PAUSE_S - self._credit_s / PACE if self._credit_s < 0 else 0.0

    def other(self, count: float, *, now: float) -> float:
        """Count messages without sound; for how many seconds to read no further."""
        earned = (now - self._told_at) * OTHERS_PER_S
        self._told_at = now
        self._others = min(self._others + earned, OTHERS_BURST) - count
        return max(-self._others / OTHERS_PER_S, 0.0)

    def is_behind(self, now: float) -> bool:
        """Whether less sound was heard than time has passed."""
        return self.ahead_s(now) < 0

    def has_more_to_say(self, now: float) -> bool:
        """Of a line that is gone: whether what is left may be of its time. A flood has
        sent more than that."""
        return self.ahead_s(now) < ACCEPTED_AFTER_S

    def ahead_s(self, now: float) -> float:
        return self._heard_s - (now - self._began)
