"""When a datagram came, by the kernel's word: read late, it stands in its place all the
same.

Linux writes the time of day on each (SO_TIMESTAMPNS, socket(7)). Where that says
nothing, elsewhere or because the clock was set meanwhile, the moment of reading counts.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import time
from collections.abc import Callable

DATAGRAM_BYTES = 2048
"""discord.py's measure; the largest that Discord sends are below 1500."""
WAITED_MAX_S = 10.0
"""What a socket has room for is over long before."""
IS_STAMPED = sys.platform == "linux"
TIMESPEC = struct.Struct("@qq")
SO_TIMESTAMPNS = 35
"""asm-generic/socket.h; Python's `socket` does not name it."""
_ROOM = socket.CMSG_SPACE(TIMESPEC.size) if IS_STAMPED else 0


def stamp(sock: socket.socket) -> None:
    """From now on its datagrams tell when they came."""
    if IS_STAMPED:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)


def receive(
    sock: socket.socket,
    *,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
) -> tuple[bytes, float]:
    """The next datagram, and when it came on `clock`. Raises OSError."""
    if not IS_STAMPED:
        return sock.recv(DATAGRAM_BYTES), clock()
    data, notes, _, _ = sock.recvmsg(DATAGRAM_BYTES, _ROOM)
    waited_s = 0.0
    for level, kind, note in notes:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = TIMESPEC.unpack(note)
            waited_s = wall() - seconds - nanoseconds / 1e9
    return data, clock() - (waited_s if 0 <= waited_s <= WAITED_MAX_S else 0.0)
