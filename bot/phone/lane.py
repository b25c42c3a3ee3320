"""A lane: what the pacer keeps of one line. Pure, but for the socket it is given.

A frame goes out whole or not at all. Whoever does not take it hears nothing newer, and
costs no memory.
"""

from __future__ import annotations

from typing import Protocol

from bot.phone.orders import UNSENT

HEADER = 3
"""Of a message: its kind, and how long it is."""
LAST_TRIES = 100
"""Rounds in which the last bytes of a line are still offered: two seconds."""


class Socket(Protocol):
    """One that never blocks."""

    def send(self, data: bytes, /) -> int: ...
    def close(self) -> None: ...


class Lane:
    """One line's frames, of the rate its silence has."""

    def __init__(self, sock: Socket, silence: bytes) -> None:
        self._sock = sock
        self._silence = silence
        self._queue = bytearray()
        self._rest = b""  # of a frame that the socket took a part of
        self._tries: int | None = None  # that are left; None while it goes on
        self.is_over = False
        """Nothing is to be sent any more."""

    def use(self, silence: bytes) -> None:
        """Speak at its rate from now on."""
        self._silence = silence

    def say(self, pcm: bytes) -> None:
        """Behind what is being said."""
        self._queue += pcm

    def hush(self) -> None:
        self._queue.clear()

    def end(self, last: bytes) -> None:
        """No more frames: these bytes, and it is over."""
        self._queue.clear()
        self._rest += last
        self._tries = LAST_TRIES
        self._offer_last()

    def serve(self) -> int | None:
        """Send one frame: how many bytes of it were to be said, or UNSENT; None at its
        end, where there are no more frames."""
        if self._tries is not None:
            self._offer_last()
            return None
        if self._rest and not self._send(self._rest):
            return UNSENT
        size = len(self._silence) - HEADER
        pcm = bytes(self._queue[:size])
        frame = self._silence
        if pcm:
            frame = frame[:HEADER] + pcm + bytes(size - len(pcm))
        if not self._send(frame) and len(self._rest) == len(frame):
            self._rest = b""
            return UNSENT
        del self._queue[:size]
        return len(pcm)

    def close(self) -> None:
        self.is_over = True
        self._sock.close()

    def _offer_last(self) -> None:
        assert self._tries is not None
        self._tries -= 1
        if self._send(self._rest) or not self._tries:
            self.close()

    def _send(self, data: bytes) -> bool:
        """Whether all of it went; what did not is kept."""
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            sent = len(data)  # the other end is gone: whoever reads the line tells
        self._rest = data[sent:]
        return not self._rest
