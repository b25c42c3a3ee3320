"""Writing to a file without letting go of the interpreter.

A record of the journal costs the kernel a few microseconds. Who lets go for that waits
behind every thread that wants to work: with 200 members who talk, for a fifth of all
time. A disk that stands still holds up the event loop either way.
"""

from __future__ import annotations

import ctypes
import errno
import os

_write = ctypes.PyDLL(None, use_errno=True).write
_write.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t)
_write.restype = ctypes.c_ssize_t


def write(descriptor: int, data: bytes) -> int:
    """As `os.write`: how many bytes were taken. Raises OSError."""
    while (taken := _write(descriptor, data, len(data))) < 0:
        number = ctypes.get_errno()
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))
    return int(taken)
