"""How this machine's processes and its people reach the web process."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from django.conf import settings

PATIENCE_S = 120.0
POLL_S = 0.3
DECIDED = ("ready", "missing")
# Listening everywhere, it is also heard at home.
HOME = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (nothing listens here)

Ask = Callable[[str], dict[str, Any] | None]


def local_url() -> str:
    """Where processes of this machine find it."""
    host = settings.WEB_HOST.strip("[]")
    host = HOME.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.WEB_PORT}"


def people_url() -> str:
    """Where people find it."""
    if settings.PUBLIC_URL:
        return str(settings.PUBLIC_URL)
    is_loopback = settings.WEB_HOST.strip("[]") in ("127.0.0.1", "localhost", *HOME)
    return f"http://localhost:{settings.WEB_PORT}" if is_loopback else local_url()


def ask(url: str) -> dict[str, Any] | None:
    """What /health says; None while nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 (our own)
            found: dict[str, Any] = json.load(answer)
            return found
    except (OSError, ValueError):
        return None


def wait_healthy(
    *,
    ask: Ask = ask,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any] | None:
    """The first answer in which speech-to-text has made up its mind, and the bot is up.

    After PATIENCE_S whatever was said last; None if the web process never answered.
    """
    until = clock() + PATIENCE_S
    found: dict[str, Any] | None = None
    while clock() < until:
        found = ask(f"{local_url()}/health") or found
        if found and _is_settled(found["parts"]):
            return found
        sleep(POLL_S)
    return found


def _is_settled(parts: dict[str, Any]) -> bool:
    return bool(parts["speech"].get("state") in DECIDED and parts["bot"]["ok"])
