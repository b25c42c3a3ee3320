"""`manage.py recover [SESSION] [--all] [--dry-run]`: what a crash left behind."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from sessions import recovery, restoring


class Command(BaseCommand):
    help = "Carry sound left on this host or in storage to its finished recording."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("session", nargs="?", type=UUID)
        parser.add_argument("--all", action="store_true", dest="everything")
        parser.add_argument("--dry-run", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        session = options["session"]
        if (session is None) == (not options["everything"]):
            raise CommandError("Name one session, or say --all.")
        dry_run = options["dry_run"]
        results = recovery.recover(session, dry_run=dry_run)
        results += restoring.restore(session, dry_run=dry_run)
        for one in results:
            self.stdout.write(f"{one.public_id}: {one.found}: {one.done}")
        if not results:
            self.stdout.write("Nothing was left behind.")
