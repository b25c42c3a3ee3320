"""`manage.py announce`: wait until everything is up, then say where."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

PATIENCE_S = 120.0
POLL_S = 0.3


class Command(BaseCommand):
    help = "Wait until the installation answers, and print its address."

    def handle(self, *args: Any, **options: Any) -> None:
        address = settings.PUBLIC_URL or f"http://localhost:{settings.WEB_PORT}"
        found = wait_healthy(f"http://{settings.WEB_HOST}:{settings.WEB_PORT}/health")
        if found is None:
            raise CommandError("The web process does not answer: see its lines above.")
        lines = [f"Parley is up: {address}", f"Administration: {address}/admin/"]
        lines += [
            f"Note: {part['message']}"
            for part in found["parts"].values()
            if part.get("message")
        ]
        self.stdout.write("\n" + "".join(f"  {line}\n" for line in lines))


def wait_healthy(
    url: str,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any] | None:
    """The first answer in which speech-to-text has made up its mind; None if none."""
    until = clock() + PATIENCE_S
    found: dict[str, Any] | None = None
    while clock() < until:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
                found = json.load(answer)
            if found and found["parts"]["speech"]["state"] in ("ready", "missing"):
                return found
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            pass  # not yet up
        sleep(POLL_S)
    return found
