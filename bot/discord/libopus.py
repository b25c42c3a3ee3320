"""libopus for discord.py, which encodes with it what we say.

PyAV's wheel brings one along; its file's name changes with each release. The system's
comes second.
"""

from __future__ import annotations

import ctypes.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import av
import structlog
from discord import opus

log = structlog.get_logger(__name__)

WHEELS = ("av.libs/libopus-*.so*", "av/.dylibs/libopus*.dylib", "av.libs/opus-*.dll")
"""Beside the package: Linux's, macOS's, Windows's."""


@cache
def load() -> bool:
    """Have discord.py use it; False where there is none, and we cannot speak."""
    for path in _candidates():
        try:
            opus.load_opus(path)
        except OSError:
            continue
        return True
    log.error("discord.no_opus")
    return False


def _candidates() -> Iterator[str]:
    beside = Path(av.__file__).parents[1]
    for pattern in WHEELS:
        yield from map(str, sorted(beside.glob(pattern)))
    if (system := ctypes.util.find_library("opus")) is not None:
        yield system
