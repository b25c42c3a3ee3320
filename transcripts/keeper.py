"""The keeper: one thread of every stt worker that loads the model and tells of it.

It lives beside the tasks because a download takes longer than a task may, and because a
worker that waits for a bell must still say that it is there. It also looks for
utterances whose bell nobody heard.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import structlog
from django.db import connection

from transcripts import doorbell, status, utterances, workers
from transcripts.engines import RETRY_S, loader
from transcripts.status import HEARTBEAT_S, SpeechStatus
from transcripts.stt import Engine
from transcripts.weights import ModelMissingError

log = structlog.get_logger(__name__)

# An utterance that has waited so long was not rung for, or nobody heard.
OVERDUE_S = 10.0

_thread: threading.Thread | None = None
_wake = threading.Event()
_told: SpeechStatus | None = None


def start(drain: Callable[[], int]) -> None:
    """Start this process's keeper, once; `drain` is called for what is overdue."""
    global _thread
    if _thread is None or not _thread.is_alive():
        _thread = threading.Thread(
            target=_keep, args=(drain,), name="stt-keeper", daemon=True
        )
        _thread.start()


def ready() -> Engine | None:
    """The engine if it is loaded; never loads."""
    return loader.ready()


def engine() -> Engine | None:
    """The engine. Without a keeper (a command, a test) it is loaded here and now."""
    found = loader.ready()
    if found is not None:
        return found
    if _thread is not None:
        _wake.set()
        return None
    pulse()
    return loader.ready()


def lost() -> None:
    """The engine says that its model has gone: look for it again, calmly."""
    loader.forget()
    _wake.set()


def pulse() -> SpeechStatus:
    """Load the model if need be, and tell how this worker is."""
    if loader.ready() is None and _told is None:
        _tell(SpeechStatus(state="loading", message="The speech model is loading."))
    try:
        found = loader.load()
    except ModelMissingError as e:
        return _tell(SpeechStatus(state="missing", message=e.message), folder=e.folder)
    return _tell(SpeechStatus(state="ready", model=found.name, demo=found.demo))


def _keep(drain: Callable[[], int]) -> None:
    _release_the_dead()
    while True:
        was_ready = loader.ready() is not None
        try:
            is_ready = pulse().state == "ready"
            if is_ready and not was_ready:
                doorbell.ring(doorbell.DRAIN)  # for what waited for the model
            elif is_ready and utterances.backlog().oldest_s > OVERDUE_S:
                drain()
        except Exception:
            # Whatever it is (a database away for a moment), the worker must go on
            # telling that it lives.
            log.warning("keeper.failed", exc_info=True)
        finally:
            connection.close()
        _wake.wait(HEARTBEAT_S / 2 if loader.ready() is not None else RETRY_S)
        _wake.clear()


def _release_the_dead() -> None:
    """The worker this one replaces may have been killed with a claim in its hands."""
    try:
        utterances.release_dead(workers.host())
    except Exception:
        # The sweeper does the same every few seconds.
        log.warning("keeper.failed", exc_info=True)


def _tell(told: SpeechStatus, **for_log: object) -> SpeechStatus:
    global _told
    told = replace(told, worker=workers.identity())
    if _told is None or _told.state != told.state:
        level = log.warning if told.state == "missing" else log.info
        level("worker.state", state=told.state, message=told.message, **for_log)
    _told = told
    status.report(told)
    return told
