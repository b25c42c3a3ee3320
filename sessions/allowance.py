"""An allowance: how much somebody may send before it is a flood. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

V = TypeVar("V")

REFILL_S = 900.0
"""What was not asked for in this time is forgotten; what refills, is full by then."""
KEPT_MOST = 50_000
"""More are not remembered: some 20 MB."""


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


class Kept(Generic[V]):
    """What is made for each key when it is first asked for, and forgotten when it was
    not for `REFILL_S`: by then it is as good as new. Or, first those who were quiet the
    longest, when there are more than `KEPT_MOST`."""

    def __init__(self, make: Callable[[], V]) -> None:
        self._make = make
        self._made: OrderedDict[Hashable, tuple[float, V]] = OrderedDict()

    def of(self, key: Hashable, *, now: float) -> V:
        _, value = self._made.pop(key, (now, None))
        value = self._make() if value is None else value
        self._made[key] = now, value
        while len(self._made) > KEPT_MOST or self._is_old(now):
            self._made.popitem(last=False)
        return value

    def knows(self, key: Hashable) -> bool:
        return key in self._made

    def __len__(self) -> int:
        return len(self._made)

    def _is_old(self, now: float) -> bool:
        asked, _ = next(iter(self._made.values()))
        return now - asked > REFILL_S
