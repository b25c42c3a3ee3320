"""Who a worker process is, and whether the one who held a claim still lives.

A process id alone is not enough: ids are used again. With the time the process started
and the boot and namespace that count them, a claim's owner is known for sure.
"""

from __future__ import annotations

import os
import socket
import zlib
from functools import cache
from pathlib import Path

# "starttime" of proc(5), counted from the state that follows the name.
_START_FIELD = 19


def identity() -> str:
    """This process: `host:pid:started`, all of one claim's owner but its nonce."""
    pid = os.getpid()
    return f"{host()}:{pid}:{_started(pid) or 0}"


@cache
def host() -> str:
    """This machine, this boot and this process namespace: where a pid means something.

    Two containers may share a host's name, and a machine starts anew with small ids.
    """
    scope = _read("/proc/sys/kernel/random/boot_id") + _namespace()
    name = socket.gethostname().replace(":", "-")[:40]
    return f"{name}-{zlib.crc32(scope.encode()):08x}"


def lives(owner: str) -> bool:
    """Whether the process behind `host:pid:started[:nonce]` of this host still runs.

    In doubt it lives: a lease then says when to stop waiting.
    """
    try:
        pid, started = (int(part) for part in owner.split(":")[1:3])
    except ValueError:
        return True
    if not started:
        return _answers(pid)
    return _started(pid) == started


def _started(pid: int) -> int | None:
    """Ticks from boot to the start of a running process; None without /proc or it."""
    # The name in brackets may hold blanks and brackets itself.
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if not fields or fields[0] in "ZX":  # a zombie works no more
        return None
    return int(fields[_START_FIELD])


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
