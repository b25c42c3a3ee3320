"""The bot process: everything that runs in `manage.py runbot`, in one event loop."""

from __future__ import annotations

import asyncio
import signal

import structlog

from bot.housekeeping import keep_house
from sessions.capture.registry import registry

log = structlog.get_logger(__name__)


async def run() -> None:
    """Run until SIGINT or SIGTERM, then end in order."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    log.info("bot.started")
    await keep_house(stop)
    await registry().shut_down()
    log.info("bot.stopped")
