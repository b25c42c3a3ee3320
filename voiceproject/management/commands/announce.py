"""`manage.py announce`: wait until everything is up, then say where."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from voiceproject import reach


class Command(BaseCommand):
    help = "Wait until the installation answers, and print its address."

    def handle(self, *args: Any, **options: Any) -> None:
        found = reach.wait_healthy()
        if found is None:
            raise CommandError("The web process does not answer: see its lines above.")
        address = reach.people_url()
        lines = [f"Parley is up: {address}", f"Administration: {address}/admin/"]
        lines += [
            f"Note: {part['message']}"
            for part in found["parts"].values()
            if part.get("message")
        ]
        self.stdout.write("\n" + "".join(f"  {line}\n" for line in lines))
