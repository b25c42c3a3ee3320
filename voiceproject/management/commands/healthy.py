"""`manage.py healthy PROCESS`: whether a process of this machine is well, for whoever
starts it anew; a container's health check."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from voiceproject import vitality


class Command(BaseCommand):
    help = "Ask a process of this machine whether it is well; fails when it is not."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("process", choices=sorted(vitality.PROCESSES))

    def handle(self, *args: Any, **options: Any) -> None:
        why = vitality.PROCESSES[options["process"]]()
        if why:
            raise CommandError(why)
        self.stdout.write("well")
