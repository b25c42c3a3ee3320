"""`manage.py metrics`: what `/metrics` says of this machine, where no web process is.

What the database holds is the same for every machine: one web process tells that."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from sessions import measures


class Command(BaseCommand):
    help = "Print what the processes of this machine counted, as Prometheus reads it."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(measures.told().decode(), ending="")
