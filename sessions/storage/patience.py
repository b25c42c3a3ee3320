"""An end to calls that never end: a server that sends a byte now and then.

A socket's time-out starts anew with every byte, so it does not help against those.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from sessions.storage.errors import UnreachableError

T = TypeVar("T")


def within(seconds: float, work: Callable[[], T]) -> T:
    """The result of `work`, or what it raises. Raises UnreachableError if too slow.

    It runs on a thread of its own, which is left alone when it takes too long: what it
    does then has to do no harm. It ends with its connection, at the latest with us.
    """
    results: list[T] = []
    faults: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as e:  # raised again below, by who asked
            faults.append(e)

    thread = threading.Thread(target=run, name="storage", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise UnreachableError("it is far too slow")
    if faults:
        raise faults[0]
    return results[0]
