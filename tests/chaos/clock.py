"""The machine's clock, put wrong for a while. Takes the right to do so."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator

_libc = ctypes.CDLL(None, use_errno=True)
SETOFFSET, NANO = 0x0100, 0x2000
"""From linux/timex.h: add `time` to the clock; its parts are in nanoseconds."""


class _Timex(ctypes.Structure):
    """struct timex up to `time`, and room for the rest."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("seconds", ctypes.c_long),
        ("nanoseconds", ctypes.c_long),
        ("rest", ctypes.c_byte * 160),
    )


def may_step() -> bool:
    """Whether this process has the right."""
    try:
        _step(0.0)
    except PermissionError:
        return False
    return True


@contextlib.contextmanager
def stepped(seconds: float) -> Iterator[None]:
    """So far ahead of the truth, or behind; exactly taken back at the end."""
    _step(seconds)
    try:
        yield
    finally:
        _step(-seconds)


def _step(seconds: float) -> None:
    whole = int(seconds // 1)
    change = _Timex(modes=SETOFFSET | NANO)
    change.seconds, change.nanoseconds = whole, round((seconds - whole) * 1e9)
    if _libc.adjtimex(ctypes.byref(change)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
