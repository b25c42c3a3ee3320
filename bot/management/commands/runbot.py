"""`manage.py runbot [--only phone|discord]`: the bot process."""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from bot import process
from bot.process import NoDiscordError, NoPhoneError, Only

try:
    from uvloop import new_event_loop
except ImportError:  # a platform without it
    from asyncio import new_event_loop  # type: ignore[assignment]

SWITCH_S = 0.0002
"""How long another thread (detection, encoding, the database, each in its turn) may
keep the loop from its frames; Python's own 5 ms are a quarter of one. At a hundred who
talk in turn, a millisecond kept it 50 ms at the 99th percentile, this 33, and cost no
more."""


GARBAGE = 10_000, 20, 100
"""When the garbage is collected: the young as before, all of it seldom. To look through
everything took 50 to 130 ms, every few seconds, and everybody waited."""


def tune() -> None:
    """Before the loop runs. The threads here live as long as the process: each keeps
    its connection, instead of opening one for each question (a millisecond of SQLite).
    What is loaded by now stays, and is no garbage.
    """
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    for database in connections.settings.values():
        database |= {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True}


class Command(BaseCommand):
    help = "Run the bot: house-keeping of all sources, Discord and the phone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--only", choices=[str(only) for only in Only])

    def handle(self, *args: Any, **options: Any) -> None:
        only = Only(options["only"]) if options["only"] else None
        tune()
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(process.run(only))
        except (NoPhoneError, NoDiscordError) as e:
            raise CommandError(str(e)) from e
