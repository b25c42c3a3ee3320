"""An allowance: how much one connection may send before it is a flood. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Allowance:
    """A bucket that fills at `per_second` up to `burst`; sending takes from it."""

    per_second: float
    burst: float
    _left: float = -1.0
    _at: float = 0.0

    def take(self, amount: float, *, now: float) -> bool:
        """Whether `amount` may still be sent at `now` (seconds, rising)."""
        if self._left < 0:
            self._left, self._at = self.burst, now
        earned = max(now - self._at, 0.0) * self.per_second
        self._left, self._at = min(self._left + earned, self.burst), now
        if amount > self._left:
            return False
        self._left -= amount
        return True
