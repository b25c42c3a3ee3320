"""What speech-to-text is doing just now, told by its workers through the live cache."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal

import structlog

from sessions.livecache import live
from sessions.outages import Outage

log = structlog.get_logger(__name__)

State = Literal["ready", "loading", "missing", "waiting"]

# Workers report every HEARTBEAT_S; after SILENT_S without a word there is none.
HEARTBEAT_S = 15.0
SILENT_S = 90.0
# For so long a worker that is ready outweighs another that is not.
_OUTWEIGHS_S = 2 * HEARTBEAT_S
_KEY = "stt:status"
_cache = Outage("the live cache, for speech-to-text's state")


@dataclass(frozen=True, slots=True)
class SpeechStatus:
    """`message` is for people, and empty when all is well; `at` in epoch seconds."""

    state: State
    model: str = ""
    demo: bool = False
    message: str = ""
    at: float = 0.0
    worker: str = ""

    def to_json(self, *, behind_s: float) -> dict[str, Any]:
        """As pages, the API and the `speech` event show it."""
        return {
            "state": self.state,
            "demo": self.demo,
            "model": self.model,
            "behind_s": round(behind_s, 1),
            "message": self.message,
        }


NO_WORKER = "No speech-to-text worker is running. What is said waits for one."


def report(status: SpeechStatus, *, now: float | None = None) -> None:
    """Say how this worker is. Never raises."""
    now = time.time() if now is None else now
    try:
        before: SpeechStatus | None = live().get(_KEY)
        if _outweighs(before, status, now=now):
            return
        told = SpeechStatus(
            state=status.state,
            model=status.model,
            demo=status.demo,
            message=status.message,
            at=now,
            worker=status.worker,
        )
        live().set(_KEY, told, None)
    except Exception:
        # A full disk or an absent Redis costs a badge on a page, not a word.
        log.warning("status.failed", exc_info=True)


def read(*, now: float | None = None) -> SpeechStatus:
    """The newest report; state `waiting` when no worker has said anything lately."""
    now = time.time() if now is None else now
    try:
        told: SpeechStatus | None = live().get(_KEY)
    except Exception:
        _cache.began()  # as in `report`
        told = None
    else:
        _cache.ended()
    if told is None:
        return SpeechStatus(state="waiting", message=NO_WORKER)
    if now - told.at > SILENT_S:
        return SpeechStatus(
            state="waiting",
            model=told.model,
            demo=told.demo,
            message=NO_WORKER,
            at=told.at,
        )
    return told


def _outweighs(
    before: SpeechStatus | None, status: SpeechStatus, *, now: float
) -> bool:
    """Whether another worker's `ready` stands: one that works is enough for people."""
    return (
        before is not None
        and before.state == "ready"
        and status.state != "ready"
        and before.worker != status.worker
        and now - before.at < _OUTWEIGHS_S
    )
