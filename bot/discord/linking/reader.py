"""Reading: the datagrams of all voice connections of a process, on one thread.

discord.py reads with a thread for each connection, and each asks for the interpreter
anew for every packet: of twenty calls with a hundred who talk in turn, that alone kept
the event loop waiting half as long again, 60 instead of 40 ms at the 99th percentile.
When a packet came is the kernel's word: so the thread rests between its rounds, and the
loop is woken for many packets at once.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import structlog

from bot.discord.linking import arrival

log = structlog.get_logger(__name__)

REST_S = 0.01 if arrival.IS_STAMPED else 0.0
"""Between two rounds: half a packet's time, by which whoever talks is heard later."""
AT_ONCE = 16
"""Packets of one connection, until the others have their turn."""
LOOK_S = 0.5
"""At most so long the thread outlives the last connection."""

Listener = Callable[[bytes], Any]
"""Called on the thread, and may not wait: everybody's packets come through it."""


class HasSocket(Protocol):
    """discord.py's voice connection."""

    @property
    def socket(self) -> socket.socket: ...


class Reading:
    """The thread: it lives while a socket is watched."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def watch(self, sock: socket.socket, read: Callable[[], None]) -> None:
        """Call `read` on the thread whenever there is something to read."""
        with self._lock:
            with contextlib.suppress(KeyError):  # closed unseen, and its number reused
                self._selector.unregister(sock.fileno())
            self._selector.register(sock, selectors.EVENT_READ, read)
            if self._thread is None:
                name = "voice-reading"
                self._thread = threading.Thread(target=self._run, name=name)
                self._thread.daemon = True
                self._thread.start()

    def unwatch(self, sock: socket.socket) -> None:
        """No more of it; call it before the socket is closed."""
        with self._lock, contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(sock)

    def _run(self) -> None:
        while not self._is_over():
            for key, _ in self._selector.select(LOOK_S):
                key.data()
            time.sleep(REST_S)

    def _is_over(self) -> bool:
        with self._lock:
            if not self._selector.get_map():
                self._thread = None
            return self._thread is None


reading = Reading()


class SocketReader:
    """One connection's, in the place of discord.py's of this name."""

    def __init__(self, state: HasSocket, *, reading: Reading = reading) -> None:
        self.came_s = 0.0
        """When the datagram came that is being handed on, on the monotonic clock."""
        self._state = state
        self._reading = reading
        self._listeners: tuple[Listener, ...] = ()
        self._socket: socket.socket | None = None
        self._arrivals = arrival.Arrivals()
        self._is_ended = self._is_busy = False

    def start(self) -> None:
        """Nothing: there is no socket yet."""

    def register(self, listener: Listener) -> None:
        self._listeners += (listener,)

    def unregister(self, listener: Listener) -> None:
        self._listeners = tuple(one for one in self._listeners if one != listener)

    def resume(self) -> None:
        """Read the connection's socket from now on."""
        self.pause()
        if not self._is_ended:
            self._socket = self._state.socket
            arrival.stamp(self._socket)
            self._reading.watch(self._socket, self._read)

    def pause(self) -> None:
        """Read no more, but for what is just being read."""
        before, self._socket = self._socket, None
        if before is not None:
            self._reading.unwatch(before)

    def stop(self) -> None:
        """Never read again."""
        self._is_ended = True
        self.pause()

    def is_alive(self) -> bool:
        """False once nothing of it touches a socket any more."""
        return self._is_busy or not self._is_ended

    def _read(self) -> None:
        """What waits: a thread that came late has more than one to catch up with."""
        self._is_busy = True  # before looking: who stops us looks for it afterwards
        try:
            for _ in range(AT_ONCE):
                if (sock := self._socket) is None:
                    return
                data, self.came_s = self._arrivals.receive(sock)
                self._hand_on(data)
        except OSError:
            pass  # that was all; or it was closed just now
        finally:
            self._is_busy = False

    def _hand_on(self, data: bytes) -> None:
        for listener in self._listeners:
            try:
                listener(data)
            except Exception:
                # One connection's fault must not make the others deaf.
                log.exception("discord.datagram_failed")
