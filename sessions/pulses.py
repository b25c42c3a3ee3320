"""Signs of life: what each process says of itself in the live cache, for /health."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sessions.livecache import live
from sessions.outages import Outage

KEPT_S = 3600
EVERY_S = 5.0
SILENT_S = 30.0
"""Whoever has said nothing for so long has gone."""

_cache = Outage("the live cache, for signs of life")


def beat(name: str, *, wall: Callable[[], float] = time.time) -> None:
    """Say that the process `name` lives. Never raises."""
    try:
        live().set(f"pulse:{name}", wall(), KEPT_S)
    except Exception:
        _cache.began()  # a cache that is away must not stop what lives
    else:
        _cache.ended()


def keep(name: str) -> None:
    """Say so for as long as this process lives, from a thread of its own."""
    repeat(lambda: beat(name), name="pulse")


def repeat(say: Callable[[], None], *, name: str) -> None:
    """Say something in time, for as long as this process lives. It may not raise."""

    def run() -> None:
        while True:
            say()
            time.sleep(EVERY_S)

    threading.Thread(target=run, name=name, daemon=True).start()


def age_s(name: str, *, wall: Callable[[], float] = time.time) -> float | None:
    """Seconds since the last sign of life; None if there is none."""
    try:
        at: float | None = live().get(f"pulse:{name}")
    except Exception:
        _cache.began()  # as above
        return None
    return None if at is None else max(wall() - at, 0.0)
