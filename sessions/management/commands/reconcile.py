"""`manage.py reconcile [--dry-run] [--delete]`: storage against database."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from sessions import reconciling
from sessions.storage import StorageError


class Command(BaseCommand):
    help = "Compare the storage with the database, both ways, and mend what can be."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true")
        parser.add_argument(
            "--delete",
            action="store_true",
            help="delete objects that belong to no session",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            findings = reconciling.reconcile(
                dry_run=options["dry_run"], delete=options["delete"]
            )
        except StorageError as e:
            raise CommandError(e.message) from e
        for finding in findings:
            self.stdout.write(f"{finding.key} {finding.verdict}")
        if not findings:
            self.stdout.write("Storage and database agree.")
