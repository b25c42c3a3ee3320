"""Resets: a connection that was reset, told to everybody who shares its socket.

Linux tells a reset to the first who asks, once. When that is the pacer, whoever reads
finds an end like that of a call hung up, and would not wait for it to be dialled again.
"""

from __future__ import annotations

import contextlib
import socket
import struct

_MARK = struct.pack("ii", 1, 0)
"""SO_LINGER, as nobody else sets it. Nothing comes of it: the connection is over."""


def mark(sock: socket.socket) -> None:
    """Its other end has reset it."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _MARK)


def is_marked(sock: socket.socket) -> bool:
    """Whether somebody has met its reset. Raises OSError for one that is closed."""
    found = sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(_MARK))
    return found == _MARK
