"""How many changes each caller of the API asks for in a minute, and that no more are
made.

Counted for all processes together where there is Redis, else in each for itself.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable

from django.conf import settings

from sessions.errors import VoiceError
from sessions.livecache import live
from sessions.outages import Outage

WINDOW_S = 60

_redis = Outage("the live cache, for counting changes")


class TooManyError(VoiceError):
    """No more until the next minute, in `retry_after_s`."""

    def __init__(self, retry_after_s: int) -> None:
        message = f"Too many changes in a minute. Try again in {retry_after_s} seconds."
        super().__init__("too_many_requests", message, status=429)
        self.retry_after_s = retry_after_s


class Rates:
    """Changes by who asks for them, since the minute began."""

    def __init__(self, *, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._lock = threading.Lock()
        self._minute = 0
        self._here: Counter[str] = Counter()

    def spend(self, who: str) -> None:
        """One more. Raises TooManyError."""
        most = settings.API_CHANGES_PER_MINUTE
        minute, gone_s = divmod(self._wall(), WINDOW_S)
        if most and self._counted(who, int(minute)) > most:
            raise TooManyError(math.ceil(WINDOW_S - gone_s))

    def _counted(self, who: str, minute: int) -> int:
        """How many there are with this one."""
        if settings.REDIS_URL:
            try:
                count = _together(f"changes:{who}:{minute}")
            except Exception:
                _redis.began()  # what cannot be counted together is counted here
            else:
                _redis.ended()
                return count
        with self._lock:
            if minute != self._minute:
                self._minute = minute
                self._here.clear()
            self._here[who] += 1
            return self._here[who]


def _together(key: str) -> int:
    live().add(key, 0, 2 * WINDOW_S)
    return live().incr(key)


rates = Rates()
"""Of this process."""
