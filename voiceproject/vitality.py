"""Whether a process of this machine is well: asked of its own page, or, of a worker,
read from what its cluster says of itself in Redis or the live folder."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable
from functools import partial

from django.conf import settings

WITHIN_S = 5.0
WORKING = ("Idle", "Working")


def _page(port: int, path: str, *, answers: tuple[int, ...] = (200,)) -> str:
    """Why the page gives none of the answers; "" when it does."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=WITHIN_S)
    try:
        line.request("GET", path)
        answer = line.getresponse()
        body = answer.read(1 << 16)
    except (OSError, http.client.HTTPException) as e:
        return f"Port {port} does not answer: {type(e).__name__}."
    finally:
        line.close()
    return "" if answer.status in answers else f"{answer.status}: {_told(body)}"


def _told(body: bytes) -> str:
    try:
        return str(json.loads(body).get("status", ""))
    except (ValueError, AttributeError):
        return "no JSON"


def _web() -> str:
    return _page(settings.WEB_PORT, "/health/ready")


def _bot() -> str:
    """One that takes no more calls is well: 503 is for who would send it one."""
    return _page(settings.BOT_HEALTH_PORT, "/health", answers=(200, 503))


def _cluster(name: str) -> str:
    """Why no cluster of this machine, or container, works. They say every half second
    that they live, not whose queue they have; that is kept for three."""
    from django_q.brokers import get_broker
    from django_q.status import Stat

    here = socket.gethostname()
    theirs = [stat for stat in Stat.get_all(get_broker(name)) if stat.host == here]
    if not theirs:
        return f"No {name} cluster of {here} says that it lives."
    if not any(stat.status in WORKING and stat.workers for stat in theirs):
        return f"The {name} cluster is {theirs[0].status}."
    return ""


PROCESSES: dict[str, Callable[[], str]] = {
    "web": _web,
    "bot": _bot,
    "stt": partial(_cluster, "stt"),
    "media": partial(_cluster, "media"),
}
"""What each is asked; the answer is why it is not well, or ""."""
