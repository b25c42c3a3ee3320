"""THE order of a session's end, whoever asks for it and however often.

`end` is the live close, seconds long: every step is attempted and has a deadline,
errors are raised together, marking the session is the last step. `complete` runs the
durable steps in a worker; it may be called again at any time and goes on where it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

import structlog
from channels.db import database_sync_to_async
from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from sessions import hosts, lifecycle, measures, participants, queries, queue
from sessions.capture.registry import registry
from sessions.models import State, VoiceSession

log = structlog.get_logger(__name__)

# The durable steps: callables(session id) -> whether the step is done, in order.
STEPS = (
    "transcripts.backfill.hear",
    "sessions.mixing.fragments",
    "transcripts.backfill.complete",
    "transcripts.archive.store",
    "sessions.mixing.master",
    "transcripts.unrecorded.forget",
    "sessions.mixing.clear",
)

TASK = "sessions.tasks.finish"
STEP_DEADLINE_S = 30.0
"""Three hundred calls that end in one second are written down in twenty."""
OTHERS_DEADLINE_S = 5.0
"""How long captures in other processes get to see the stop and write down."""
OTHERS_POLL_S = 0.1


Reason = str | Callable[[], str]
"""Why a session ends; called where that may be known only when all is written down."""


async def end(
    session_id: int, *, reason: Reason, idle_since: datetime | None = None
) -> bool:
    """End a session; True for the one caller who did it.

    With `idle_since` only if nobody has renewed it after that moment. Raises an
    ExceptionGroup when steps failed; the session is marked all the same.
    """
    asked = await database_sync_to_async(lifecycle.request_stop)(
        session_id, idle_since=idle_since
    )
    if not asked:
        return False
    return await close(session_id, reason=reason)


async def close(session_id: int, *, reason: Reason) -> bool:
    """The steps behind the request to stop; also how the reaper ends a session whose
    first end died half-way."""
    errors: list[Exception] = []
    steps: list[tuple[str, Callable[[int], Awaitable[object]]]] = [
        ("captures", lambda pk: registry().stop(pk)),
        ("others", _others_stopped),
        ("people", database_sync_to_async(participants.leave_all)),
        ("slot", database_sync_to_async(queue.release)),
    ]
    for name, step in steps:
        try:
            async with asyncio.timeout(STEP_DEADLINE_S):
                await step(session_id)
        except TimeoutError:
            # No failure: captures go on writing down, and the durable steps wait for
            # what they write.
            log.warning("finish.step_late", session=session_id, step=name)
        except Exception as e:
            # Every step is attempted; what failed is raised together below.
            log.exception("finish.step_failed", session=session_id, step=name)
            errors.append(e)
    why = reason() if callable(reason) else reason
    ended = await database_sync_to_async(_mark)(session_id, why)
    if errors:
        raise ExceptionGroup(f"session {session_id} ended with errors", errors)
    return ended


async def _others_stopped(session_id: int) -> None:
    """Wait, not for ever, for captures in other processes."""
    connected = database_sync_to_async(participants.connected)
    for _ in range(int(OTHERS_DEADLINE_S / OTHERS_POLL_S)):
        if not await connected(session_id):
            return
        await asyncio.sleep(OTHERS_POLL_S)
    log.warning("finish.others_still_connected", session=session_id)


def _mark(session_id: int, reason: str) -> bool:
    with transaction.atomic():
        won = lifecycle.advance(session_id, State.FINISHING, reason=reason)
        if won:
            transaction.on_commit(lambda: ring(session_id), robust=True)
    if won:
        _measure(session_id)
    return won


def _measure(session_id: int) -> None:
    session = VoiceSession.objects.get(pk=session_id)
    if session.started_at and session.ended_at:
        lasted_s = (session.ended_at - session.started_at).total_seconds()
        measures.SESSION_TIME.labels(session.source).observe(lasted_s)


def ring(session_id: int) -> None:
    """Have a worker of each host run the durable steps: each takes up what lies on its
    disk, and the last one ends it. A lost ring is repeated by the reaper."""
    hosts.ring(TASK, session_id)


def ring_all() -> list[int]:
    """Ring for every end that is not complete, where the workers have heard the last
    time: while none runs, nothing piles up. Returns the sessions."""
    waiting = queries.finishing()
    return waiting if hosts.ring_all(TASK, waiting) else []


def complete(session_id: int) -> bool:
    """Run the durable steps as far as they go; True when the session is ready."""
    if not VoiceSession.objects.filter(pk=session_id, state=State.FINISHING).exists():
        return False
    if not run_steps(session_id):
        return False
    if not lifecycle.advance(session_id, State.READY):
        return False
    hosts.ring_others("sessions.tasks.recover", session_id)  # they drop what is stored
    _tell_ready(session_id)
    return True


def run_steps(session_id: int) -> bool:
    """What stands behind a session's end, as far as it goes; whether all is done."""
    for path in STEPS:
        if not import_string(path)(session_id):
            log.info("finish.waiting", session=session_id, step=path)
            return False
    return True


def _tell_ready(session_id: int) -> None:
    for path in settings.WHEN_READY:
        try:
            import_string(path)(session_id)
        except Exception:
            # The session is ready, whoever could not be told.
            log.exception("finish.not_told", session=session_id, who=path)
