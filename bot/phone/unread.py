"""What is left unread in a socket of ours when its connection is gone.

A frame that we send to somebody who has hung up ends the connection at once, for every
event loop, however far behind its reading was. The kernel still has the rest.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket

from bot.phone import resets

PIECE_BYTES = 1024 * 1024


class Unread:
    """One connection's. Remembers the socket by its inode: its number may be another
    connection's by the time it is asked for."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._inode = os.fstat(fd).st_ino

    def read(self) -> bytes:
        """All that is there now; nothing of a socket that is closed."""
        unread = bytearray()
        with contextlib.suppress(OSError), self._socket() as sock:
            sock.settimeout(0)
            while data := sock.recv(PIECE_BYTES):
                unread += data
        return bytes(unread)

    def was_reset(self) -> bool:
        """Whether somebody who shares it has met its reset."""
        with contextlib.suppress(OSError), self._socket() as sock:
            return resets.is_marked(sock)
        return False

    def cut(self) -> None:
        """Cut the connection, from any thread."""
        with contextlib.suppress(OSError), self._socket() as sock:
            sock.shutdown(socket.SHUT_RDWR)

    def _socket(self) -> socket.socket:
        """The same socket once more. Raises OSError when it is closed."""
        sock = socket.socket(fileno=os.dup(self._fd))
        if os.fstat(sock.fileno()).st_ino == self._inode:
            return sock
        sock.close()
        raise OSError(errno.EBADF, "closed, and the number is another's")
