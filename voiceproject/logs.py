"""What is left out of the log: tracebacks of what is no fault of ours.

discord.py writes one for each broken connection, and tries again by itself.
"""

from __future__ import annotations

import logging

NETWORK = (OSError, TimeoutError)
"""aiohttp's client errors for a connection are OSErrors too."""
LOUD = "discord."


class NetworkIsNoFault(logging.Filter):
    """One line instead of fifty: the network is away, and what it said."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if record.name.startswith(LOUD) and isinstance(error, NETWORK):
            record.msg = f"{record.getMessage()} ({type(error).__name__})"
            record.args = ()
            record.exc_info = record.exc_text = None
        return True
