"""What the bot and its pacer say to each other: one datagram each. Pure.

The bot orders, by the number of a line: to pace it (its socket goes with that, and its
silence), to speak at another rate, to say something, to hush, to end it with some last
bytes. The pacer tells of each round which lines it served, and when it has hushed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import cast

PACE, USE, SAY, HUSH, END = b"PUSHE"
ROUND, HUSHED = b"RQ"
LARGEST = 1 << 16
"""Bytes of a datagram: a socket holds a few of them."""
UNSENT = 0xFFFF
"""Instead of a number of bytes: the other end takes nothing, and goes without."""

Order = tuple[int, int, bytes]
"""Its kind, the line, and what belongs to it."""
Served = tuple[int, int, int]
"""A line, how many bytes of what it says went out in its frame (0: silence), and how
many frames before that one did not."""

_ORDER = struct.Struct("<BI")
_ROUND = struct.Struct("<Bd")
_SERVED = struct.Struct("<IHH")


def order(kind: int, line: int, payload: bytes = b"") -> bytes:
    return _ORDER.pack(kind, line) + payload


def read_order(data: bytes) -> Order:
    """An order, or the word HUSHED of a line."""
    kind, line = _ORDER.unpack_from(data)
    return kind, line, data[_ORDER.size :]


def rounds(due: float, served: Iterable[Served]) -> Iterator[bytes]:
    """Who was served at a deadline (of the monotonic clock, in seconds), in as many
    datagrams as that takes."""
    each = [_SERVED.pack(*one) for one in served]
    most = LARGEST // _SERVED.size - _ROUND.size
    for at in range(0, len(each), most):
        yield _ROUND.pack(ROUND, due) + b"".join(each[at : at + most])


def read_round(data: bytes) -> tuple[float, Iterator[Served]]:
    _, due = _ROUND.unpack_from(data)
    served = _SERVED.iter_unpack(data[_ROUND.size :])
    return due, cast("Iterator[Served]", served)
