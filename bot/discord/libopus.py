"""libopus for discord.py, which encodes with it what we say."""

from __future__ import annotations

from functools import cache

import structlog
from discord import opus

from sessions.audio.opus import paths

log = structlog.get_logger(__name__)


@cache
def load() -> bool:
    """Have discord.py use it; False where there is none, and we cannot speak."""
    for path in paths():
        try:
            opus.load_opus(path)
        except OSError:
            continue
        return True
    log.error("discord.no_opus")
    return False
