"""Daphne's WebSockets with what it leaves out: reasons, our codes, and bounds on what
one client may make us keep, sent or received."""

from __future__ import annotations

from typing import Any

import structlog
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from twisted.internet import reactor as _reactor

reactor: Any = _reactor  # its stubs have the parts of callLater in another order

log = structlog.get_logger(__name__)

REASON_MAX_BYTES = 123
"""RFC 6455: a control frame holds 125 bytes, two of them the code."""
UNREAD_MAX_BYTES = 8 * 1024 * 1024
"""Sent and not taken by the other end: hours of a talk. Beyond it nobody reads."""
WAITING_MAX = 32
"""Messages received and not yet handled; beyond it the client is read no further, and
TCP tells it so. Daphne alone keeps whatever comes: a gigabyte in half a minute."""
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


class Socket(WebSocketProtocol):
    """One connection."""

    _paused = False
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
        self.closeHandshakeTimeout = FAREWELL_S
        self.transport.bufferSize = READ_BYTES

    def onMessage(self, payload: bytes, isBinary: bool) -> None:  # noqa: FBT001, N802, N803
        if self.state != self.STATE_OPEN:
            return  # it has been told to go
        super().onMessage(payload, isBinary)
        if self._waiting() >= WAITING_MAX:
            self._pause()

    def handle_reply(self, message: dict[str, Any]) -> None:
        is_close = message.get("type") == "websocket.close"
        if is_close and self.state != self.STATE_CONNECTING:
            self._close(message.get("code") or 1000, message.get("reason") or "")
            return
        super().handle_reply(message)
        if self._unread() > UNREAD_MAX_BYTES:
            log.warning("socket.unread")
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
        if self.state == self.STATE_OPEN and self._waiting() > WAITING_MAX // 2:
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

    def _unread(self) -> int:
        transport = self.transport
        kept: int = getattr(transport, "_tempDataLen", 0)
        return kept + len(getattr(transport, "dataBuffer", b""))


def install() -> None:
    """Have servers of this process use it."""
    WebSocketFactory.protocol = Socket
