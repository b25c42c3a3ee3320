"""`manage.py metrics`: the same as `/metrics`, for a machine without a web process."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from sessions import measures


class Command(BaseCommand):
    help = "Print what the processes of this machine counted, as Prometheus reads it."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(measures.told().decode(), ending="")
