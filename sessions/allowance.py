"""An allowance: how much somebody may send before it is a flood. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Allowance:
    """A bucket that fills at `per_second` up to `burst`; sending takes from it. It
    begins with `left`, or full."""

    per_second: float
    burst: float
    left: float | None = None
    _at: float | None = None

    def take(self, amount: float, *, now: float) -> bool:
        """Whether `amount` may still be sent at `now` (seconds, rising)."""
        earned = 0.0 if self._at is None else max(now - self._at, 0.0)
        had = self.burst if self.left is None else self.left
        self._at = now
        self.left = min(had + earned * self.per_second, self.burst)
        if amount > self.left:
            return False
        self.left -= amount
        return True
