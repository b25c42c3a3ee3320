"""Flashes: what is true on a screen for seconds only, and never stored.

One newest value per session and key (the words somebody is saying just now, how far the
text is behind), in the "live" cache that all processes share.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sessions import bell
from sessions.events import Event
from sessions.livecache import live
from sessions.outages import Outage

TTL_S = 20
FORGET_S = 3600
"""Longer than anything in the live cache is meant to stay."""

_cache = Outage("the live cache")


def show(
    session_id: int, key: str, type_: str, data: dict[str, Any], *, rings: bool = True
) -> None:
    """Show `data` to everybody who follows the session, until replaced or stale; where
    it does not ring, at their next look."""
    try:
        live().set(_name(session_id, key), (type_, data), TTL_S)
    except Exception:
        # A full disk or an absent Redis costs grey text, never a line or a sound.
        _cache.began()
        return
    _cache.ended()
    if rings:
        bell.ring(session_id)


def current(session_id: int, keys: list[str]) -> dict[str, Event]:
    """The flashes that stand now, by key."""
    names = {_name(session_id, key): key for key in keys}
    if not names:
        return {}
    try:
        found = live().get_many(names)
    except Exception:
        _cache.began()  # as above
        return {}
    _cache.ended()
    return {names[name]: Event(0, *value) for name, value in found.items()}


def forget_old(*, wall: Callable[[], float] = time.time) -> int:
    """Delete what expired long ago; returns how many files.

    Redis does this itself; where there is none, nobody else does.
    """
    gone = 0
    folder = getattr(live(), "_dir", None)
    for path in Path(folder).glob("*.djcache") if folder else ():
        with contextlib.suppress(OSError):
            if wall() - path.stat().st_mtime > FORGET_S:
                path.unlink()
                gone += 1
    return gone


def _name(session_id: int, key: str) -> str:
    return f"flash:{session_id}:{key}"
