"""Rate limits: what the headers say of each bucket, and who has to wait.

A bucket is a route and its channel, guild or webhook. Without a limit of the test's the
headers tell of so much room that nobody ever waits, and nobody is refused.
"""

from __future__ import annotations

import fnmatch
import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

ROOMY, ROOMY_S = 1000, 1.0
MAJOR = re.compile(r"/(?:channels|guilds)/\d+|/webhooks/\d+/[^/]+")


@dataclass(frozen=True, slots=True)
class Limit:
    """So many requests to such paths in each window, one window per bucket."""

    method: str
    pattern: str
    count: int
    per_s: float
    hidden: bool = False
    """The headers say nothing of it, as with new names of channels."""

    def fits(self, method: str, path: str) -> bool:
        return self.method in (method, "*") and fnmatch.fnmatchcase(path, self.pattern)


@dataclass(slots=True)
class Window:
    """What is left of a bucket, and until when."""

    left: int
    until: float


@dataclass(frozen=True, slots=True)
class Spent:
    """One request, counted."""

    bucket: str
    limit: int
    remaining: int
    reset_after_s: float
    wait_s: float | None = None
    """It is refused, and may come again after so long."""

    def headers(self) -> dict[str, str]:
        return {
            "X-RateLimit-Bucket": self.bucket,
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": f"{time.time() + self.reset_after_s:.3f}",
            "X-RateLimit-Reset-After": f"{self.reset_after_s:.3f}",
        }


class Limits:
    """All of a test's, and how much of each is used."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._limits: list[Limit] = []
        self._windows: dict[tuple[Limit, str], Window] = {}

    def add(self, limit: Limit) -> None:
        self._limits.append(limit)

    def clear(self) -> None:
        self._limits.clear()
        self._windows.clear()

    def spend(self, method: str, route: str, path: str) -> Spent:
        """Count a request to a path of this route; the narrowest bucket is told."""
        bucket = hashlib.md5(f"{method} {route}".encode()).hexdigest()
        major = MAJOR.match(path)
        name = f"{bucket}:{major.group() if major else ''}"
        told = Spent(bucket, ROOMY, ROOMY - 1, ROOMY_S)
        for limit in self._limits:
            if limit.fits(method, path):
                spent = self._take(limit, bucket, name)
                if spent.wait_s is not None:
                    return spent
                if not limit.hidden and spent.remaining < told.remaining:
                    told = spent
        return told

    def _take(self, limit: Limit, bucket: str, name: str) -> Spent:
        now = self._clock()
        window = self._windows.get((limit, name))
        if window is None or now >= window.until:
            window = Window(limit.count, now + limit.per_s)
            self._windows[limit, name] = window
        rest = window.until - now
        if not window.left:
            told = (ROOMY, ROOMY - 1) if limit.hidden else (limit.count, 0)
            return Spent(bucket, *told, rest, wait_s=rest)
        window.left -= 1
        return Spent(bucket, limit.count, window.left, rest)
