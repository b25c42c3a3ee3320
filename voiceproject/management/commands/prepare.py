"""`manage.py prepare`: what must be there before any process starts: the tables, and
the bucket. May be called at every start."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from sessions.storage import S3Storage, StorageError, storage


class Command(BaseCommand):
    help = "Bring the database up to date, and make the bucket where there is none."

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", verbosity=0, interactive=False)
        found = storage()
        if isinstance(found, S3Storage):
            try:
                is_new = found.make()
            except StorageError as e:
                raise CommandError(f"The bucket: {e.message}") from e
            self.stdout.write(
                "The bucket was made." if is_new else "The bucket is there."
            )
        self.stdout.write("The tables are up to date.")
