"""THE writer of time zeros: where a session's beginning lies on each host's own clock.

The timeline begins at `started_at`, by the clock on the wall. That one may be set while
people talk, and whoever came then would stand elsewhere than everybody before. So the
first who joins on a host reads it, once, and notes how it lies to the clock that counts
since the host's boot and is never set. Everybody else there goes by the note, in
whatever process, killed and started again or not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from uuid import UUID, uuid4

from django.db import transaction

from sessions import hosts
from sessions.models import TimeZero, VoiceSession

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""random(4): another one after each boot, the same for all containers of a machine."""
REMEMBERED = 4096
"""Sessions; who is forgotten is looked up when the next one joins."""

_zeros: dict[UUID, float] = {}


def uptime_s() -> float:
    """Seconds since boot, asleep ones too. Elsewhere than on Linux this process's."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


@cache
def boot() -> str:
    """This boot of this host; where nobody tells, this process. Machines made from one
    snapshot tell the same, but they are different hosts."""
    try:
        return f"{hosts.here()} {BOOT_ID.read_text().strip()}"
    except OSError:
        return str(uuid4())


def settle(
    session: VoiceSession,
    *,
    wall: Callable[[], float] = time.time,
    uptime: Callable[[], float] = uptime_s,
) -> None:
    """Somebody joins a session: from now on its zero stands fast here. Blocks."""
    if session.started_at is None or session.public_id in _zeros:
        return
    note, _ = TimeZero.objects.get_or_create(
        session=session,
        boot=boot(),
        defaults={"uptime_s": uptime() - (wall() - session.started_at.timestamp())},
    )
    transaction.on_commit(lambda: _remember(session.public_id, note.uptime_s))


def _remember(session: UUID, zero_s: float) -> None:
    _zeros[session] = zero_s
    for oldest in list(_zeros)[:-REMEMBERED]:
        _zeros.pop(oldest, None)


def into_s(
    session: VoiceSession,
    *,
    wall: Callable[[], float] = time.time,
    uptime: Callable[[], float] = uptime_s,
) -> float:
    """Seconds since the session's time zero; where nobody has joined it here, by the
    clock on the wall. Never blocks."""
    if (zero_s := _zeros.get(session.public_id)) is not None:
        return uptime() - zero_s
    assert session.started_at is not None  # active sessions have a time zero
    return wall() - session.started_at.timestamp()


def of(session: VoiceSession, *, clock: Callable[[], float] = time.monotonic) -> float:
    """What `clock` said at the session's time zero. Never blocks."""
    return clock() - into_s(session)
