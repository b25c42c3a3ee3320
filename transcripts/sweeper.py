"""Sweeping: what a lost bell or a dead worker left behind. One cycle, one function."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from transcripts import doorbell, status, utterances, workers


@dataclass(frozen=True, slots=True)
class Swept:
    """What one cycle found and did."""

    expired: int
    dead: int
    pending: int
    rang: bool
    pulsed: bool


def sweep(*, now: datetime) -> Swept:
    """Free the claims of the dead and the late, ring for what waits, ask for a sign.

    Rings only when no bell is still unheard, so that nothing piles up while no worker
    runs. Meant to be called every few seconds by one process; by several, no harm.
    """
    dead = utterances.release_dead(workers.host(), now=now)
    expired = utterances.release_expired(now=now)
    pending = utterances.backlog(now=now).pending
    is_silent = status.read(now=now.timestamp()).state != "ready"
    if not (pending or is_silent):
        return Swept(expired, dead, pending, rang=False, pulsed=False)
    is_free = doorbell.waiting() == 0
    rang = bool(pending) and is_free and doorbell.ring(doorbell.DRAIN)
    pulsed = is_silent and is_free and not rang and doorbell.ring(doorbell.PULSE)
    return Swept(expired, dead, pending, rang=rang, pulsed=pulsed)
