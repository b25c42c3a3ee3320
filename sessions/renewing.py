"""Renewing a claim while its work takes longer than its lease: a small thread."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import structlog
from django.db import connection

log = structlog.get_logger(__name__)


@contextlib.contextmanager
def renewing(renew: Callable[[], None], *, every_s: float) -> Iterator[None]:
    """Call `renew` every so often for as long as the block lasts."""
    over = threading.Event()
    thread = threading.Thread(
        target=_renew, args=(renew, over, every_s), name="renewing", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _renew(renew: Callable[[], None], over: threading.Event, every_s: float) -> None:
    while not over.wait(every_s):
        try:
            renew()
        except Exception:
            # A database that is away for a moment; the next time counts.
            log.warning("claim.not_renewed", exc_info=True)
        finally:
            connection.close()
