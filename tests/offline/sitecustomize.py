"""Every attempt of a Python process to leave this machine: refused and written down.

Python imports it at start when this folder is on PYTHONPATH; forks inherit it. What C
code does by itself is not seen here: `island.py` counts that in the kernel.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import sys
import traceback
from typing import Any

REPORT = os.environ.get("EGRESS_REPORT", "")
CONNECTS = ("socket.connect", "socket.sendto", "socket.sendmsg")
LOOKUPS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
# No name or address: a socket that only listens.
AT_HOME = ("", "localhost", "None")


def stays(host: Any) -> bool:
    """Whether a host is this machine, without asking anybody."""
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    if name in AT_HOME:
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False  # a name: looking it up is leaving
    return address.is_loopback or address.is_unspecified


def watch(event: str, args: tuple[Any, ...]) -> None:
    if event in CONNECTS:
        # A path is a Unix socket; None is a connected socket's own peer.
        host = args[1][0] if isinstance(args[1], tuple) else "localhost"
    elif event in LOOKUPS:
        host = args[0]
    else:
        return
    if not stays(host):
        refuse(f"{event} {host!r}")


def refuse(attempt: str) -> None:
    where = "".join(traceback.format_stack(limit=8)[:-2])
    text = f"{attempt} by {' '.join(sys.argv)}\n{where}\n"
    handle = os.open(REPORT, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(handle, text.encode())
    os.close(handle)
    raise OSError(errno.ENETUNREACH, f"this machine is an island: {attempt}")


if REPORT:
    sys.addaudithook(watch)
