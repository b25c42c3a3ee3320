"""Daphne's WebSockets with what it leaves out: reasons, our codes, and a bound on what
a reader who does not read may cost."""

from __future__ import annotations

from typing import Any

import structlog
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol

log = structlog.get_logger(__name__)

REASON_MAX_BYTES = 123
"""RFC 6455: a control frame holds 125 bytes, two of them the code."""
UNREAD_MAX_BYTES = 8 * 1024 * 1024
"""Sent and not taken by the other end: hours of a talk. Beyond it nobody reads."""


class Socket(WebSocketProtocol):
    """One connection."""

    def handle_reply(self, message: dict[str, Any]) -> None:
        is_close = message.get("type") == "websocket.close"
        if is_close and self.state != self.STATE_CONNECTING:
            self._close(message.get("code") or 1000, message.get("reason") or "")
            return
        super().handle_reply(message)
        if self._unread() > UNREAD_MAX_BYTES:
            log.warning("socket.unread")
            self.dropConnection(abort=True)

    def _close(self, code: int, reason: str) -> None:
        # `sendClose` refuses 1011 and 1012, which are a server's to say.
        text = reason.encode()[:REASON_MAX_BYTES].decode(errors="ignore").encode()
        self.sendCloseFrame(code=code, reasonUtf8=text, isReply=False)

    def _unread(self) -> int:
        transport = self.transport
        kept = getattr(transport, "_tempDataLen", 0)
        return kept + len(getattr(transport, "dataBuffer", b""))


def install() -> None:
    """Have servers of this process use it."""
    WebSocketFactory.protocol = Socket
