"""`manage.py runbot [--only phone|discord]`: the bot process."""

from __future__ import annotations

import asyncio
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from bot import process
from bot.process import NoDiscordError, NoPhoneError, Only
from sessions import realtime

try:
    from uvloop import new_event_loop
except ImportError:  # a platform without it
    from asyncio import new_event_loop  # type: ignore[assignment]


class Command(BaseCommand):
    help = "Run the bot: house-keeping of all sources, Discord and the phone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--only", choices=[str(only) for only in Only])

    def handle(self, *args: Any, **options: Any) -> None:
        only = Only(options["only"]) if options["only"] else None
        realtime.tune()
        realtime.keep_connections()
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(process.run(only))
        except (NoPhoneError, NoDiscordError) as e:
            raise CommandError(str(e)) from e
