"""How many connections each address has to this process, and that it takes no more.

A bound on what one machine can do to the others, not on people: a whole school may
stand behind one address, so it is wide. Of IPv6 a network is one address.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator

from django.conf import settings

from sessions.errors import VoiceError
from sessions.networks import network


class CrowdedError(VoiceError):
    """Too many connections of one address."""

    def __init__(self) -> None:
        message = "Too many connections come from your address."
        super().__init__("crowded", message, status=429)


class Crowd:
    """Connections by address; "" is where nobody knows it, and never refused."""

    def __init__(self) -> None:
        self._inside: Counter[str] = Counter()

    def check(self, address: str) -> None:
        """Whether there is room for one more. Raises CrowdedError."""
        most = settings.CONNECTIONS_PER_ADDRESS
        if address and most and self.count(address) >= most:
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


crowd = Crowd()
"""Of this process."""
