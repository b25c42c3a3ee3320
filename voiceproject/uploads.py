"""How much of a request is taken: Daphne alone would fill the disk with it."""

from __future__ import annotations

import json

import daphne.http_protocol
from daphne.http_protocol import WebRequest

BODY_MAX_BYTES = 1024 * 1024
"""No form and no request of ours is near it; Django's own limit is lower still."""
REFUSAL = json.dumps({"code": "too_large", "message": "The request is too large."})


class Request(WebRequest):
    """One HTTP request, refused as soon as its body is too large to be meant."""

    _received = 0
    _refused = False

    def gotLength(self, length: int | None) -> None:  # noqa: N802 (Twisted's)
        super().gotLength(length)
        if length is not None and length > BODY_MAX_BYTES:
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        self._received += len(data)
        if self._received > BODY_MAX_BYTES:
            self._refuse()
        if not self._refused:
            super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:  # noqa: N802
        if not self._refused:
            super().requestReceived(command, path, version)

    def _refuse(self) -> None:
        if self._refused:
            return
        self._refused = True
        head = (
            "HTTP/1.1 413 Content Too Large\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(REFUSAL)}\r\nConnection: close\r\n\r\n"
        )
        self.transport.write((head + REFUSAL).encode())
        self.transport.loseConnection()


def install() -> None:
    """Have servers of this process use it."""
    daphne.http_protocol.WebRequest = Request
