"""A machine without a network: a Linux network namespace that has only loopback.

The kernel counts what finds no way out, so that C code cannot leave unseen either.
"""

from __future__ import annotations

import fcntl
import shutil
import socket
import struct
import subprocess
from pathlib import Path

SIOCSIFFLAGS = 0x8914
IFF_UP = 1
# Of proc(5) net/snmp and net/snmp6: packets nobody would carry, and any datagram at
# all: a name server may be on loopback, and nothing of ours speaks UDP.
COUNTERS = (
    ("snmp", "Ip", "OutNoRoutes"),
    ("snmp", "Udp", "OutDatagrams"),
    ("snmp6", "", "Ip6OutNoRoutes"),
    ("snmp6", "", "Udp6OutDatagrams"),
)


def to_island() -> list[str] | None:
    """The words that start a program on an island; None where we may make none."""
    for words in (["unshare", "--net"], ["unshare", "--net", "--map-root-user"]):
        if shutil.which("unshare") is None:
            return None
        tried = subprocess.run([*words, "true"], capture_output=True, check=False)
        if tried.returncode == 0:
            return words
    return None


def raise_loopback() -> None:
    """Loopback is down in a new namespace. Needs to be root in it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sh14x", b"lo", IFF_UP)
        fcntl.ioctl(handle, SIOCSIFFLAGS, request)


def is_island() -> bool:
    """Whether loopback is the only way."""
    return {name for _, name in socket.if_nameindex()} == {"lo"}


def departures() -> dict[str, int]:
    """How often something here tried to leave, by the kernel's counters."""
    found = {}
    for file, group, name in COUNTERS:
        table = Path("/proc/self/net", file)
        if table.exists():  # no snmp6 without IPv6
            found[f"{group}{name}"] = _counter(table.read_text(), group, name)
    return found


def _counter(text: str, group: str, name: str) -> int:
    if not group:
        return next(int(line.split()[1]) for line in text.splitlines() if name in line)
    names, values = (
        line.split() for line in text.splitlines() if line.startswith(f"{group}:")
    )
    return int(values[names.index(name)])
