"""The door of the telephone: who may connect, and who may ask for a call.

AudioSocket knows no password. Whoever is known, by AUDIOSOCKET_ALLOW or because they
are on this machine, takes no room from strangers, and they take none from them.
"""

from __future__ import annotations

import ipaddress
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable

from sessions.allowance import Allowance
from sessions.networks import network

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HALF_OPEN_MAX = 1000
"""Connections that have not said a UUID, of all strangers, and of all who are known:
each ends by itself after five seconds."""
STRANGER_HALF_OPEN_MAX = 64
"""Of one stranger."""
ASKED_PER_S, ASKED_BURST = 20.0, 300.0
"""New UUIDs of one stranger: each costs a transaction, even if it is refused."""
STRANGERS_MAX = 10_000
"""Of so many it is known how much they have asked."""
KNOWN = "known"


class Door:
    """Of one process. A line is any object that stands for a connection."""

    def __init__(
        self, allowed: Iterable[str], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`allowed`: networks; where there are some, strangers are not let in."""
        self._networks = networks(allowed)
        self._clock = clock
        self._half_open: dict[Hashable, str] = {}
        self._counts: Counter[str] = Counter()
        self._asked: dict[str, Allowance] = {}

    def lets_in(self, line: Hashable, peer: str) -> bool:
        """Whether it may stay to say its UUID; it is half open until it has `left`."""
        who = self._who(peer)
        if who is None or not self._has_room(who):
            return False
        self._half_open[line] = who
        self._counts[who] += 1
        return True

    def left(self, line: Hashable) -> None:
        """It has said its UUID, or is gone."""
        if (who := self._half_open.pop(line, None)) is not None:
            self._counts[who] -= 1
            if not self._counts[who]:
                del self._counts[who]

    def may_ask(self, peer: str) -> bool:
        """Whether it may ask for one more call."""
        who = self._who(peer)
        if who is None or who == KNOWN:
            return who is not None
        asked = self._asked.setdefault(who, Allowance(ASKED_PER_S, ASKED_BURST))
        while len(self._asked) > STRANGERS_MAX:
            del self._asked[next(iter(self._asked))]  # the oldest
        return asked.take(1, now=self._clock())

    def _has_room(self, who: str) -> bool:
        if who == KNOWN:
            return self._counts[KNOWN] < HALF_OPEN_MAX
        strangers = len(self._half_open) - self._counts[KNOWN]
        return strangers < HALF_OPEN_MAX and self._counts[who] < STRANGER_HALF_OPEN_MAX

    def _who(self, peer: str) -> str | None:
        """To whom it is counted; None: it is not let in."""
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:  # gone already: nobody knows whose it was
            return None if self._networks else peer
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        if self._networks:
            return KNOWN if any(address in one for one in self._networks) else None
        return KNOWN if address.is_loopback else network(str(address))


def networks(named: Iterable[str]) -> list[Network]:
    """AUDIOSOCKET_ALLOW as networks. Raises ValueError; a system check tells."""
    return [ipaddress.ip_network(name, strict=False) for name in named]
