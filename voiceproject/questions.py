"""A question whose answer may never come: nobody waits for it longer than they like."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from django.db import connections

T = TypeVar("T")
GIVEN_UP_S = 60.0
"""A question that is open for so long is asked anew: a connection may be dead while the
next one is well."""


class Question(Generic[T]):
    """Asked on a thread of its own, which is left alone when it takes too long: what it
    does then has to do no harm. Whoever asks meanwhile waits for the same answer."""

    def __init__(
        self, ask: Callable[[], T], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._lock = threading.Lock()
        self._answer: Future[T] = Future()
        self._asked_at = -math.inf

    def put(self) -> Future[T]:
        """Its answer, or what the asking raised, as soon as there is one."""
        with self._lock:
            is_old = self._clock() - self._asked_at > GIVEN_UP_S
            if self._answer.done() or is_old:
                self._answer, self._asked_at = Future(), self._clock()
                threading.Thread(
                    target=self._run, args=(self._answer,), name="question", daemon=True
                ).start()
            return self._answer

    def _run(self, answer: Future[T]) -> None:
        try:
            found = self._found()
        except Exception as e:
            answer.set_exception(e)  # raised again by whoever reads it
        else:
            answer.set_result(found)

    def _found(self) -> T:
        try:
            return self._ask()
        finally:
            connections.close_all()  # this thread's, which may never be used again
