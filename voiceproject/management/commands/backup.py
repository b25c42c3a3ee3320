"""`manage.py backup FOLDER`: a copy of everything, while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from voiceproject.backup import BackupError, back_up


class Command(BaseCommand):
    help = "Copy everything that is worth it into a folder that is a DATA_DIR again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            for line in back_up(options["folder"]):
                self.stdout.write(line)
        except BackupError as e:
            raise CommandError(e.message) from e
        except OSError as e:
            raise CommandError(f"It cannot be written: {e.strerror}.") from e
