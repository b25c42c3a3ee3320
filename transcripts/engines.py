"""The one engine of a worker process: loaded once, after fork; tried again calmly.

And, while lines are written down again with another model, that one beside it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog
from django.conf import settings
from django.utils.module_loading import import_string

from transcripts.stt import Engine
from transcripts.weights import ModelMissingError

log = structlog.get_logger(__name__)

RETRY_S = 5.0


class Loader:
    """Loads by `build`, once; remembers for RETRY_S that there was nothing to load."""

    def __init__(
        self,
        build: Callable[[], Engine],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._build = build
        self._clock = clock
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._missing: ModelMissingError | None = None
        self._tried_at = -RETRY_S

    def ready(self) -> Engine | None:
        """The engine if it is loaded; never waits."""
        return self._engine

    def load(self) -> Engine:
        """The engine, loaded now if need be. Raises ModelMissingError.

        Threads that come while another one loads wait for it.
        """
        if self._engine is not None:
            return self._engine
        with self._lock:
            if self._engine is None:
                self._try()
            assert self._engine is not None
            return self._engine

    def forget(self) -> None:
        """Drop the engine: the next `load` makes it anew."""
        with self._lock:
            self._engine = self._missing = None
            self._tried_at = -RETRY_S

    def _try(self) -> None:
        now = self._clock()
        if self._missing is not None and now - self._tried_at < RETRY_S:
            raise self._missing
        try:
            self._engine, self._missing = self._build(), None
        except ModelMissingError as e:
            self._missing, self._tried_at = e, self._clock()
            raise


def _build() -> Engine:
    factory: Callable[[], Engine] = import_string(settings.STT_ENGINE)
    return factory()


loader = Loader(_build)


class Other:
    """One engine more, of the model that was named last."""

    def __init__(self) -> None:
        self._model = ""
        self._engine: Engine | None = None

    def load(self, model: str) -> Engine:
        """Raises ModelMissingError."""
        if self._engine is None or self._model != model:
            self._engine = None  # two big models need not fit beside each other
            factory: Callable[[str], Engine] = import_string(settings.STT_ENGINE)
            self._engine, self._model = factory(model), model
        return self._engine

    def forget(self) -> None:
        """Give its memory back."""
        self._engine, self._model = None, ""


other = Other()
