"""Stands at the door of a Python process: lets nothing out but to loopback.

Python runs this file at start when its folder is on PYTHONPATH. Each attempt to reach
or to look up another machine is written to $OFFLINE_LOG, and fails as it would without
a network. Native code does not pass here: see the kernel's count in `driver.py`.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Any

LOOPBACK = ("127.", "::1", "localhost", "::ffff:127.")
CONNECTING = ("socket.connect", "socket.sendto", "socket.sendmsg")
LOOKING_UP = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")


def target(event: str, arguments: tuple[Any, ...]) -> str | None:
    """Which machine an audited call means; None if it means none."""
    if event in CONNECTING:
        address = arguments[1]
        # A path is a socket of this machine; None an address given before.
        return str(address[0]) if isinstance(address, tuple) else None
    if event in LOOKING_UP:
        host = arguments[0]
        return host.decode() if isinstance(host, bytes) else host
    return None


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    if not event.startswith("socket."):
        return
    host = target(event, arguments)
    if not host or host.startswith(LOOPBACK):
        return
    with open(os.environ["OFFLINE_LOG"], "a", encoding="utf-8") as log:
        log.write(f"{event} {host} by {' '.join(sys.argv)}\n")
    raise OSError(errno.ENETUNREACH, "this installation is offline")


def note_presence() -> None:
    """Who is watched: without it, silence would prove nothing."""
    with open(os.environ["OFFLINE_LOG"] + ".watched", "a", encoding="utf-8") as log:
        log.write(" ".join(sys.orig_argv[1:]) + "\n")


if "OFFLINE_LOG" in os.environ:
    sys.addaudithook(watch)
    note_presence()
