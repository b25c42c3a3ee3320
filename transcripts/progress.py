"""Progress: how far the text is, told to each session that is listened to."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import structlog

from sessions import flashes
from transcripts import status, utterances
from transcripts.status import SpeechStatus

log = structlog.get_logger(__name__)


def speech_state(session_id: int) -> dict[str, Any]:
    """How speech-to-text is doing for a session, as its page shows it."""
    return _states(status.read(), {session_id})[session_id]


def _states(told: SpeechStatus, session_ids: set[int]) -> dict[int, dict[str, Any]]:
    """The same for many, with one question to the database."""
    behind_s = utterances.behind_s(session_ids)
    return {pk: told.to_json(behind_s=behind_s.get(pk, 0.0)) for pk in session_ids}


class Progress:
    """Tells what has changed, and now and then what has not."""

    is_ready = True
    """Whether there is a worker with a model, as of the last report: without one
    nobody answers what is asked for at once."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[int, tuple[dict[str, Any], float]] = {}

    def report(self, session_ids: set[int]) -> None:
        """Show each session's readers how its text is doing."""
        now = self._clock()
        self._told = {pk: t for pk, t in self._told.items() if pk in session_ids}
        told_now = status.read()
        self.is_ready = told_now.state == "ready"
        try:
            states = _states(told_now, session_ids)
        except Exception:
            log.warning("speech.unknown", exc_info=True)
            return  # the database is away: the next report will tell
        for session_id, state in states.items():
            told, at = self._told.get(session_id, (None, 0.0))
            if state != told or now - at > flashes.TTL_S / 2:
                self._told[session_id] = (state, now)
                flashes.show(session_id, "speech", "speech", state)
