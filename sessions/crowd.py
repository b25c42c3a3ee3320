"""How many connections each address has to this process, and that it takes no more.

A bound on what one machine can do to the others, not on people: a whole school may
stand behind one address, so it is wide. Of IPv6 a network is one address.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator

from django.conf import settings

from sessions.allowance import Allowance, Kept
from sessions.errors import VoiceError
from sessions.networks import network

ENTRIES_PER_S = 10.0
"""Whoever is behind one address may come again all at once, and then so fast: each time
costs rows that everybody else reads."""


class CrowdedError(VoiceError):
    """Too many connections of one address."""

    def __init__(self) -> None:
        message = "Too many connections come from your address."
        super().__init__("crowded", message, status=429)


class Crowd:
    """Connections by address; "" is where nobody knows it, and never refused."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._inside: Counter[str] = Counter()
        self._came = Kept(_entries)
        self._clock = clock

    def check(self, address: str) -> None:
        """Whether one more may come, who comes now. Raises CrowdedError."""
        most = settings.CONNECTIONS_PER_ADDRESS
        if address and most:
            now = self._clock()
            came = self._came.of(network(address), now=now)
            if self.count(address) >= most or not came.take(1, now=now):
                raise CrowdedError

    @contextlib.contextmanager
    def inside(self, address: str) -> Iterator[None]:
        """One more, for as long as it lasts."""
        one = network(address)
        self._inside[one] += 1
        try:
            yield
        finally:
            self._inside[one] -= 1
            if not self._inside[one]:
                del self._inside[one]

    def count(self, address: str) -> int:
        return self._inside[network(address)]


def _entries() -> Allowance:
    return Allowance(ENTRIES_PER_S, 2 * settings.CONNECTIONS_PER_ADDRESS)


crowd = Crowd()
"""Of this process."""
