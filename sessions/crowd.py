"""How many connections each address has to this process, and that it takes no more.

A bound on what one machine can do to the others, not on people: a whole school may
stand behind one address, so it is wide. Of IPv6 a network is one address.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator

from django.conf import settings

from sessions.allowance import Allowance
from sessions.errors import VoiceError
from sessions.networks import network

ENTRIES_PER_S = 10.0
"""Whoever is behind one address may come again all at once, and then so fast: each time
costs rows that everybody else reads."""
ADDRESSES_KEPT = 10_000
"""Of so many it is known how often they came."""


class CrowdedError(VoiceError):
    """Too many connections of one address."""

    def __init__(self) -> None:
        message = "Too many connections come from your address."
        super().__init__("crowded", message, status=429)


class Crowd:
    """Connections by address; "" is where nobody knows it, and never refused."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._inside: Counter[str] = Counter()
        self._came: OrderedDict[str, Allowance] = OrderedDict()
        self._clock = clock

    def check(self, address: str) -> None:
        """Whether one more may come, who comes now. Raises CrowdedError."""
        most = settings.CONNECTIONS_PER_ADDRESS
        if address and most:
            came = self._entries(network(address), most)
            if self.count(address) >= most or not came.take(1, now=self._clock()):
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

    def _entries(self, one: str, most: int) -> Allowance:
        if one not in self._came:
            self._came[one] = Allowance(ENTRIES_PER_S, 2 * most)
            if len(self._came) > ADDRESSES_KEPT:
                self._came.popitem(last=False)
        self._came.move_to_end(one)
        return self._came[one]

    def count(self, address: str) -> int:
        return self._inside[network(address)]


crowd = Crowd()
"""Of this process."""
