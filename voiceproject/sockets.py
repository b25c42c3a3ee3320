"""Daphne's WebSockets with what it leaves out: reasons, our codes, and bounds on what
one client may make us keep, sent or received."""

from __future__ import annotations

import time
from typing import Any
from weakref import WeakSet

import structlog
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from twisted.internet import reactor as _reactor

reactor: Any = _reactor  # its stubs have the parts of callLater in another order

log = structlog.get_logger(__name__)

REASON_MAX_BYTES = 123
"""RFC 6455: a control frame holds 125 bytes, two of them the code."""
UNREAD_MAX_BYTES = 8 * 1024 * 1024
"""Sent and not taken by the other end: hours of a talk. Beyond it nobody reads."""
UNREAD_SUM_BYTES = 128 * 1024 * 1024
"""The same of all sockets of a process; beyond it those go who have read the least."""
UNREAD_LOOK_BYTES, UNREAD_LOOK_S = 256 * 1024, 0.5
"""Who has left so much unread has all of them looked at, so often at most."""
MESSAGE_MAX_BYTES = 128 * 1024
"""Of one message: what is more than `wire` takes, and less than this, is told why it is
refused. Unfinished messages of all clients lie in memory."""
WAITING_MAX = 32
"""Messages received and not yet handled; beyond it the client is read no further, and
TCP tells it so. Daphne alone keeps whatever comes: a gigabyte in half a minute."""
WAITING_MAX_BYTES = 256 * 1024
"""The same of their bytes."""
READ_BYTES = 16 * 1024
"""Read at once: of the smallest frames these are 2000, some 50 ms of work."""
LOOK_S = 0.02
FAREWELL_S = 4.5
"""How long the other end may take to answer a close, with its own flood to send first.
Cut off earlier, with bytes of its on the way, it would be reset before it could read
why."""
FAREWELL_BYTES = 64 * 1024
"""Of what still comes then so much is looked at for the answer; the rest is thrown
away unread."""
FAREWELL_READ_BYTES = 128 * 1024
"""Thrown away at once, every `LOOK_S`: 6 MB a second cost nothing, and let somebody
through to our reason who had sent as much ahead."""


_open: WeakSet[Socket] = WeakSet()
"""Those of this process."""
_looked_at = 0.0


class Socket(WebSocketProtocol):
    """One connection."""

    _paused = False
    _waiting_bytes = 0  # at most: counted anew whenever nothing waits
    _after_close: int | None = None  # bytes that came since we said goodbye

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 (twisted's)
        if self._after_close is not None:
            self._after_close += len(data)
            if self._after_close > FAREWELL_BYTES:
                self._pause()
                return
        super().dataReceived(data)

    def onOpen(self) -> None:  # noqa: N802 (autobahn's)
        super().onOpen()
        _open.add(self)
        self.closeHandshakeTimeout = FAREWELL_S
        self.transport.bufferSize = READ_BYTES

    def onMessage(self, payload: bytes, isBinary: bool) -> None:  # noqa: FBT001, N802, N803
        if self.state != self.STATE_OPEN:
            return  # it has been told to go
        if not self._waiting():
            self._waiting_bytes = 0
        self._waiting_bytes += len(payload)
        super().onMessage(payload, isBinary)
        if self._is_waiting(WAITING_MAX):
            self._pause()

    def handle_reply(self, message: dict[str, Any]) -> None:
        is_close = message.get("type") == "websocket.close"
        if is_close and self.state != self.STATE_CONNECTING:
            self._close(message.get("code") or 1000, message.get("reason") or "")
            return
        super().handle_reply(message)
        if (unread := self.unread()) > UNREAD_MAX_BYTES:
            self.drop()
        elif unread > UNREAD_LOOK_BYTES:
            _look()

    def drop(self) -> None:
        """Nobody reads it."""
        log.warning("socket.unread")
        _open.discard(self)
        self.dropConnection(abort=True)

    def _pause(self) -> None:
        """Read no further for a moment."""
        if not self._paused:
            self._paused = True
            self.transport.pauseProducing()
            reactor.callLater(LOOK_S, self._go_on)

    def _go_on(self) -> None:
        """Read on once what waited is handled; whoever was closed is read out, too, so
        that the farewell can be told from the flood."""
        if self.state == self.STATE_OPEN and self._is_waiting(WAITING_MAX // 2 + 1):
            reactor.callLater(LOOK_S, self._go_on)
            return
        self._paused = False
        if self.state != self.STATE_CLOSED:
            self.transport.resumeProducing()

    def _close(self, code: int, reason: str) -> None:
        # `sendClose` refuses 1011 and 1012, which are a server's to say.
        text = reason.encode()[:REASON_MAX_BYTES].decode(errors="ignore").encode()
        self.sendCloseFrame(code=code, reasonUtf8=text, isReply=False)
        self._after_close = 0
        if self.transport is not None:
            self.transport.bufferSize = FAREWELL_READ_BYTES

    def _waiting(self) -> int:
        waiting: int = self.application_queue.qsize()
        return waiting

    def _is_waiting(self, most: int) -> bool:
        """Whether so many messages, or many bytes, are not handled yet."""
        waiting = self._waiting()
        return waiting >= most or bool(
            waiting and self._waiting_bytes > WAITING_MAX_BYTES
        )

    def unread(self) -> int:
        """Bytes that the other end has not taken."""
        transport = self.transport
        kept: int = getattr(transport, "_tempDataLen", 0)
        return kept + len(getattr(transport, "dataBuffer", b""))


def _look() -> None:
    """Drop whoever reads least, as far as all of them leave too much unread."""
    global _looked_at
    now = time.monotonic()
    if now - _looked_at < UNREAD_LOOK_S:
        return
    _looked_at = now
    unread = sorted(((one.unread(), one) for one in _open), key=lambda one: -one[0])
    excess = sum(size for size, _ in unread) - UNREAD_SUM_BYTES
    for size, one in unread:
        if excess <= 0:
            return
        one.drop()
        excess -= size


def install() -> None:
    """Have servers of this process use it."""
    WebSocketFactory.protocol = Socket
