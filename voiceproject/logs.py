"""The log: how its lines look, and what is left out of it.

That is what holds words, names and tokens, and tracebacks of what is no fault of ours:
discord.py writes one for each broken connection, and tries again by itself.
"""

from __future__ import annotations

import logging
from typing import Any

import structlog

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


class PathIsRoute(logging.Filter):
    """Django names the path of what failed, and in some a token stands: `shared/…`,
    `unsubscribe/…`. The route tells as much, and opens nothing."""

    def filter(self, record: logging.LogRecord) -> bool:
        path = getattr(getattr(record, "request", None), "path", None)
        if path is not None and isinstance(record.args, tuple):
            match = record.request.resolver_match  # type: ignore[attr-defined]
            route = f"/{match.route}" if match else "an address that is none of ours"
            told = path.encode("unicode_escape").decode()  # as Django logs it
            record.args = tuple(route if one == told else one for one in record.args)
        return True


_SHARED_PROCESSORS: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def for_machines() -> list[Any]:
    """What makes of an event a line of JSON, tracebacks in it as text."""
    return [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ]


def for_people() -> list[Any]:
    """The same, plain: a traceback with locals would hold names, words and tokens."""
    return [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        ),
    ]


def configured(*, level: str, as_json: bool) -> dict[str, Any]:
    """Django's LOGGING; structlog is told the same."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED_PROCESSORS,
            structlog.processors.format_exc_info,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": for_machines() if as_json else for_people(),
                "foreign_pre_chain": _SHARED_PROCESSORS,
            }
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "structured",
                "filters": ["network", "route"],
            }
        },
        "filters": {
            "network": {"()": "voiceproject.logs.NetworkIsNoFault"},
            "route": {"()": "voiceproject.logs.PathIsRoute"},
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # One line per request and frame is noise; their warnings are kept.
            "axes": {"level": "ERROR"},  # its warnings name who tried which name
            "daphne": {"level": "WARNING"},
            "django.channels.server": {"level": "WARNING"},
            "django.request": {"level": "ERROR"},
            # A traceback for each stranger who names another host fills the disk.
            "django.security.DisallowedHost": {"level": "CRITICAL"},
            "faster_whisper": {"level": "WARNING"},  # its INFO lines hold what was said
            "django-q": {"level": "WARNING"},
            "discord": {"level": "WARNING"},  # our own lines tell the same, once
            "piper": {"level": "WARNING"},  # its DEBUG lines hold what is said
        },
    }
