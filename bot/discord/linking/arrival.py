"""When a datagram came, by the kernel's word: read late, it stands in its place all the
same.

Linux writes the time of day on each (SO_TIMESTAMPNS, socket(7)). Where that says
nothing, elsewhere or because the clock has just been set, the moment of reading counts.
"""

from __future__ import annotations

import contextlib
import math
import socket
import struct
import sys
import time
from collections.abc import Callable

DATAGRAM_BYTES = 2048
"""discord.py's measure; the largest that Discord sends are below 1500."""
WAITED_MAX_S = 10.0
"""What a socket has room for is over long before."""
SET_S = 0.005
"""The time of day and the monotonic clock run side by side; it was set when they moved
by so much against each other."""
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


class Arrivals:
    """Those of one socket."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._clock, self._wall = clock, wall
        self._apart_s = wall() - clock()
        self._doubted_to_s = -math.inf

    def receive(self, sock: socket.socket) -> tuple[bytes, float]:
        """The next datagram, and when it came on the clock. Raises OSError."""
        if not IS_STAMPED:
            return sock.recv(DATAGRAM_BYTES), self._clock()
        data, notes, _, _ = sock.recvmsg(DATAGRAM_BYTES, _ROOM)
        now_s, wall_s = self._look()
        waited_s = 0.0
        for level, kind, note in notes:
            if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
                seconds, nanoseconds = TIMESPEC.unpack(note)
                waited_s = wall_s - seconds - nanoseconds / 1e9
        if not 0 <= waited_s <= WAITED_MAX_S or now_s < self._doubted_to_s:
            waited_s = 0.0
        return data, now_s - waited_s

    def _look(self) -> tuple[float, float]:
        """Both clocks, read at once. Was the time of day set since the last look, what
        came before it may still wait here, and its stamp says nothing."""
        before_s, wall_s, now_s = self._clock(), self._wall(), self._clock()
        if now_s - before_s < SET_S:  # or somebody else had the processor meanwhile
            apart_s = wall_s - now_s
            if abs(apart_s - self._apart_s) > SET_S:
                self._doubted_to_s = now_s + WAITED_MAX_S
            self._apart_s = apart_s
        return now_s, wall_s
