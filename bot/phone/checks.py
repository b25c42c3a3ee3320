"""System checks of the telephone's settings."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

PORTS = ("WEB", "AUDIOSOCKET", "BOT_HEALTH")
PORT_MAX = 65535
TEXTS = (
    "CALL_GREETING",
    "CALL_STILL_THERE",
    "CALL_FILLER",
    "CALL_APOLOGY",
    "CALL_GOODBYE",
)
LANGUAGE = re.compile(r"[a-z]{2,3}|\*")


@register
def check_networks(**_: Any) -> list[CheckMessage]:
    """Who may call is said in networks, and is not everybody by oversight."""
    found: list[CheckMessage] = []
    for name in settings.AUDIOSOCKET_ALLOW:
        try:
            ip_network(name)
        except ValueError as e:
            hint = f"Such as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32: {e}."
            message = f"AUDIOSOCKET_ALLOW: {name!r} is no network."
            found.append(Error(message, hint=hint, id="bot.E010"))
    is_guarded = settings.AUDIOSOCKET_ALLOW or settings.AUDIOSOCKET_STRICT
    if settings.AUDIOSOCKET_PORT and not is_guarded and not _is_here():
        message = "Whoever reaches AUDIOSOCKET_HOST could call: it knows no password."
        hint = (
            "Name Asterisk's address in AUDIOSOCKET_ALLOW, or set AUDIOSOCKET_STRICT"
            "=True; AUDIOSOCKET_HOST=127.0.0.1 is this machine's alone, and "
            "AUDIOSOCKET_PORT=0 nobody's."
        )
        found.append(Error(message, hint=hint, id="bot.E014"))
    return found


@register
def check_ports(**_: Any) -> list[CheckMessage]:
    """Each port is one, and nobody else's."""
    found: list[CheckMessage] = []
    taken: dict[tuple[str, int], str] = {}
    for name in PORTS:
        host, port = (
            getattr(settings, f"{name}_HOST"),
            getattr(settings, f"{name}_PORT"),
        )
        if port > PORT_MAX:
            message = f"{name}_PORT={port} is no port."
            hint = f"At most {PORT_MAX}."
            found.append(Error(message, hint=hint, id="bot.E011"))
        if port and (other := taken.setdefault((host, port), name)) != name:
            message = f"{name}_PORT and {other}_PORT are both {port}."
            hint = "Give each a port of its own."
            found.append(Error(message, hint=hint, id="bot.E012"))
    return found


@register
def check_texts(**_: Any) -> list[CheckMessage]:
    """What a call says is said in a language that it can have."""
    return [
        Error(
            f"{name}: {language!r} is no language.",
            hint="A code such as en or uk, or * for any other.",
            id="bot.E013",
        )
        for name in TEXTS
        for language in getattr(settings, name)
        if not LANGUAGE.fullmatch(language)
    ]


def _is_here() -> bool:
    """Whether only this machine reaches the port."""
    try:
        return ip_address(settings.AUDIOSOCKET_HOST).is_loopback
    except ValueError:
        return bool(settings.AUDIOSOCKET_HOST == "localhost")
