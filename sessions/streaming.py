"""Bytes that take work to make, on their way to somebody: made in a thread, a piece
when the one before was taken, and only so many of them at once in a process.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Self

from sessions.errors import VoiceError

AT_ONCE = 4
"""Each takes up to a core while it works, and some 20 MB."""
AT_ONCE_PER_ADDRESS = AT_ONCE - 1
"""Nobody takes all there is."""
RETRY_AFTER_S = 10

holds_place: ContextVar[bool] = ContextVar("holds_place", default=False)
"""Whether what this task sends is a flow: then others wait for its reader, too."""
_places = threading.BoundedSemaphore(AT_ONCE)
_inside: Counter[str] = Counter()
_counting = threading.RLock()
_threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="flow")


class BusyError(VoiceError):
    """So many are being made that another would slow the rest of this process."""

    def __init__(self) -> None:
        message = f"Too many downloads at once. Try again in {RETRY_AFTER_S} seconds."
        super().__init__("busy", message, status=503)


class Flow:
    """An asynchronous iterator over what a generator makes.

    Holds one of the places until it is read to its end or closed. `close` may be called
    at any time, on the event loop too: it never waits, and what runs in the thread ends
    with its piece. Raises BusyError when all places are taken, or all but one by the
    same `address`; "" is where nobody knows it.
    """

    def __init__(
        self, pieces: Generator[bytes, None, None], *, address: str = ""
    ) -> None:
        self._ended = True  # holds no place yet
        self._address = address
        _enter(address)
        self._ended = self._closed = False
        self._pieces = pieces
        self._working = threading.Lock()
        self._first: bytes | None = None

    async def begin(self) -> None:
        """Make the first piece: errors of the beginning come while there is still an
        answer to give them in."""
        try:
            self._first = await self._made()
        except BaseException:
            self.close()
            raise

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        holds_place.set(True)
        piece, self._first = self._first, None
        if piece is None:
            piece = await self._made()
        if not piece:
            raise StopAsyncIteration
        return piece

    def close(self) -> None:
        """Nobody wants the rest."""
        self._closed = True
        if self._working.acquire(blocking=False):
            try:
                self._end()
            finally:
                self._working.release()

    def __del__(self) -> None:
        if not self._ended:  # a response that nobody closed
            self.close()

    async def _made(self) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(_threads, self._next)

    def _next(self) -> bytes:
        """The next piece; b"" at the end, and once it was closed."""
        is_done = True
        try:
            with self._working:
                for piece in () if self._closed else self._pieces:
                    if piece:
                        is_done = False
                        return piece
            return b""
        finally:
            if is_done or self._closed:  # perhaps just now, while we held the lock
                self.close()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            try:
                self._pieces.close()
            finally:
                _leave(self._address)


def _enter(address: str) -> None:
    with _counting:
        is_greedy = address and _inside[address] >= AT_ONCE_PER_ADDRESS
        if is_greedy or not _places.acquire(blocking=False):
            raise BusyError
        _inside[address] += 1


def _leave(address: str) -> None:
    with _counting:
        _inside[address] -= 1
        if not _inside[address]:
            del _inside[address]
        _places.release()
