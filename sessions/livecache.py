"""The live cache: what all processes share for seconds, and nobody misses after them.

One client for each process. Django's `caches` makes one for each task of an event loop,
and where it is Redis's, a connection with each.
"""

from __future__ import annotations

import os
from functools import cache

from django.core.cache import BaseCache, caches


def live() -> BaseCache:
    """May be used on any thread."""
    return _of(os.getpid())


@cache
def _of(process: int) -> BaseCache:  # after a fork, connections are the parent's
    client: BaseCache = caches.create_connection("live")
    return client
