"""Readers: how many read along in each session, over all processes.

True for seconds: each process tells its own in the live cache. Nobody's name is in it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from sessions.background import PerLoop, spawn
from sessions.livecache import live
from sessions.outages import Outage

EVERYBODY = 0
"""In place of a session: somebody looks at all that is live."""
LOOK_S, RENEW_S, TTL_S = 0.5, 5.0, 15.0
_INDEX = "readers"

_cache = Outage("the live cache, for readers")


def tell(
    process: str, counts: Mapping[int, int], *, wall: Callable[[], float] = time.time
) -> None:
    """Say how many follow which session in this process. Never raises."""
    now = wall()
    try:
        live().set(f"readers:{process}", (now, dict(counts)), TTL_S)
        known: dict[str, float] = live().get(_INDEX) or {}
        # Two that begin together may overwrite each other: the next telling mends it.
        if now - known.get(process, 0.0) > RENEW_S / 2:
            fresh = {name: at for name, at in known.items() if now - at < TTL_S}
            live().set(_INDEX, fresh | {process: now}, TTL_S * 2)
    except Exception:
        _cache.began()  # a full disk or an absent Redis costs a number on a card
    else:
        _cache.ended()


def counts(*, wall: Callable[[], float] = time.time) -> Counter[int]:
    """How many follow each session just now; under EVERYBODY, those of the boards."""
    found: Counter[int] = Counter()
    try:
        processes = live().get(_INDEX) or {}
        told = live().get_many([f"readers:{name}" for name in processes])
    except Exception:
        _cache.began()  # as above
        return found
    for at, theirs in told.values():
        if wall() - at < TTL_S:
            found.update(theirs)
    return found


class Readers:
    """Those of one event loop."""

    def __init__(self) -> None:
        self._process = f"{socket.gethostname()}:{os.getpid()}:{id(self)}"
        self._counts: Counter[int] = Counter()
        self._keeper: asyncio.Task[None] | None = None

    @contextmanager
    def reading(self, session_id: int) -> Iterator[None]:
        """Somebody reads along for as long as the block lasts."""
        self._counts[session_id] += 1
        if self._keeper is None or self._keeper.done():
            self._keeper = spawn(self._tell_on(), name="readers")
        try:
            yield
        finally:
            self._counts[session_id] -= 1
            if not self._counts[session_id]:
                del self._counts[session_id]

    async def _tell_on(self) -> None:
        """Lives while anybody reads, and until that nobody does is told."""
        told: dict[int, int] = {}
        waited_s = RENEW_S
        while self._counts or told:
            waited_s += LOOK_S
            if told != self._counts or waited_s >= RENEW_S:
                told, waited_s = dict(self._counts), 0.0
                await asyncio.to_thread(tell, self._process, told)
            await asyncio.sleep(LOOK_S)


_readers = PerLoop(Readers)


def readers() -> Readers:
    """The readers of the running event loop."""
    return _readers.here()
