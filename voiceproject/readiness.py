"""What an installation needs, part by part: is it there, and if not, why not.

Each is asked by itself and for a bounded time, whatever hangs. Without `NEEDED` a web
process serves nobody. Every other part that fails costs something, and takes no sound
away: the spool holds it, the rows wait.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

import structlog
from django.conf import settings

from bot.parts import Part as BotPart
from sessions import hosts, pulses
from sessions.livecache import live
from sessions.storage import StorageError, storage
from sessions.storage.patience import within
from transcripts import status, utterances, vad
from voiceproject.questions import Question

log = structlog.get_logger(__name__)

Part = dict[str, Any]
NEEDED = frozenset({"database", "redis", "spool"})
ANSWERS_S = 2.0
"""So long the storage is waited for,"""
ALL_ANSWER_S = 2.5
"""and all parts together."""
KEPT_S = 10.0
"""So long an answer of the storage counts: many ask for it, and S3 counts requests."""
SILENT = {
    "database": "The database does not answer.",
    "redis": "Redis does not answer: what is said reaches no page.",
}
FREE_LEAST = 512 * 1024**2
"""Bytes: an hour of a hundred tracks is six times that."""


class Kept:
    """An answer that is asked for anew after KEPT_S, by one at a time."""

    def __init__(
        self, ask: Callable[[], Part], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._lock = threading.Lock()
        self._known: tuple[float, Part] | None = None

    def read(self) -> Part:
        with self._lock:
            if self._known is None or self._clock() - self._known[0] > KEPT_S:
                part = self._ask()
                self._known = self._clock(), part
            return self._known[1]


def parts() -> dict[str, Part]:
    """All parts that there are to be; `reason` is for people, and "" of what is
    well."""
    until = time.monotonic() + ALL_ANSWER_S
    answers = {name: question.put() for name, question in _questions.items()}
    found = {
        name: _answer(name, answer, within_s=until - time.monotonic())
        for name, answer in answers.items()
    }
    return {name: part for name, part in found.items() if part is not None}


def is_ready(found: dict[str, Part]) -> bool:
    """Whether the web process can serve."""
    return all(part["ok"] for name, part in found.items() if name in NEEDED)


def _part(reason: str) -> Part:
    return {"ok": not reason, "reason": reason}


def _answer(name: str, answer: Future[Part | None], *, within_s: float) -> Part | None:
    try:
        return answer.result(max(within_s, 0.0))
    except Exception:  # whatever a client raises: what it says may hold addresses
        log.warning("health.unanswered", part=name, exc_info=True)
        return _part(SILENT.get(name, "Nobody knows: what it is asked of is away."))


def _database() -> Part:
    utterances.backlog()
    return _part("")


def _redis() -> Part | None:
    if not settings.REDIS_URL:
        return None
    live().get("health")
    return _part("")


def _ask_storage() -> Part:
    """Whether it says that there is no such object."""
    try:
        within(ANSWERS_S, lambda: storage().stat("health"))
    except StorageError as e:
        return _part(f"The storage does not answer ({e.code}): recordings wait for it.")
    return _part("")


_storage = Kept(_ask_storage)


def _spool() -> Part:
    folder = settings.DATA_DIR
    if not os.access(folder, os.W_OK | os.X_OK):
        return _part("Nothing can be written into DATA_DIR: no sound is taken.")
    if shutil.disk_usage(folder).free < FREE_LEAST:
        return _part("The disk under DATA_DIR is all but full.")
    return _part("")


def _speech() -> Part:
    speech = status.read()
    told = speech.to_json(behind_s=utterances.backlog().oldest_s)
    reason = told.pop("message")
    return {"ok": speech.state == "ready", "reason": reason} | told


def _voice_detection() -> Part:
    detector = vad.state()
    return {"ok": not detector.degraded, "reason": detector.message}


def _bot(part: BotPart) -> Part | None:
    return _process(part, part.loss) if part.is_wanted else None


def _media() -> Part:
    """Whether a worker is there that reaches the disk on which we record."""
    loss = "nothing is stored, mixed or mailed"
    if not settings.REDIS_URL:
        return _process(hosts.MEDIA, loss)
    if hosts.here() in hosts.living():
        return _part("")
    return _part(f"No media process is running beside DATA_DIR here: {loss}.")


def _process(name: str, loss: str) -> Part:
    age_s = pulses.age_s(name)
    if age_s is not None and age_s <= pulses.SILENT_S:
        return _part("")
    return _part(f"No {name} process is running: {loss}.")


_questions: dict[str, Question[Part | None]] = {
    "database": Question(_database),
    "redis": Question(_redis),
    "spool": Question(_spool),
    "storage": Question(lambda: _storage.read()),
    "speech": Question(_speech),
    "voice_detection": Question(_voice_detection),
    **{part: Question(partial(_bot, part)) for part in BotPart},
    "media": Question(_media),
}
