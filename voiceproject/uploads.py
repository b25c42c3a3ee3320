"""How a request comes: how much of it is taken, how slowly, and over how many
connections. Daphne alone would fill the disk with it, and wait for a byte a minute."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import daphne.http_protocol
import daphne.server
import structlog
from daphne.http_protocol import HTTPFactory, WebRequest
from django.conf import settings
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

from sessions import audit
from sessions.crowd import Crowd, CrowdedError

log = structlog.get_logger(__name__)

BODY_MAX_BYTES = 128 * 1024
"""No form and no request of ours is near it; Django's own limit is lower still."""
BODIES_MAX_BYTES = 64 * 1024 * 1024
"""The same of all bodies that are here and not answered: whoever comes then comes again
later. Behind a proxy nobody's connections can be counted."""
HEAD_S = 15.0
"""A request's head is there so long after its first byte; the first of a connection's
after the connection."""
BODY_LEAST_BYTES_PER_S = 1000
"""So fast comes its body, but for `HEAD_S`: our largest form, 64 kB, in a minute."""
FOR_EACH = 4
"""Of HTTP an address may have so many times CONNECTIONS_PER_ADDRESS: a browser opens up
to six, and keeps them for a minute."""

_TOO_LARGE = "413 Content Too Large", "too_large", "The request is too large."
_BUSY = "503 Service Unavailable", "busy", "Too much comes at once. Try again later."

connections = Crowd()
"""Those of HTTP, by peer, of this process; what became a WebSocket is none any more."""


class Request(WebRequest):
    """One HTTP request, refused as soon as its body is too large to be meant."""

    _received = 0
    _refused = False
    _together = 0
    """Of all of them, bytes that are here and not answered."""

    def gotLength(self, length: int | None) -> None:  # noqa: N802 (Twisted's)
        super().gotLength(length)
        if length is not None and length > BODY_MAX_BYTES:
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        if not self._received:
            self.notifyFinish().addBoth(self._let_go)
        self._received += len(data)
        Request._together += len(data)
        if self._received > BODY_MAX_BYTES:
            self._refuse()
        elif Request._together > BODIES_MAX_BYTES:
            self._refuse(_BUSY)
        if not self._refused:
            super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:  # noqa: N802
        if not self._refused:
            super().requestReceived(command, path, version)

    def handle_exception(self, exception: Exception) -> None:
        # Daphne would raise, behind which it looks after no connection any more.
        if not self._response_started:
            super().handle_exception(exception)
        elif self.channel is not None:
            self.channel.transport.abortConnection()  # nobody takes it for all of it

    def _let_go(self, _: object) -> None:
        Request._together -= self._received
        self._received = 0

    def _refuse(self, why: tuple[str, str, str] | None = None) -> None:
        if self._refused:
            return
        self._refused = True
        self.transport.write(_refusal(*(why or _TOO_LARGE)))
        self.transport.loseConnection()


class Channel(HTTPChannel):
    """One connection of HTTP, cut off when a request does not come in time."""

    transport: Any
    _began_at: float | None = None  # the request that comes; None while none does
    _is_heard = False
    _body_bytes = 0
    _look: Any = None

    def connectionMade(self) -> None:  # noqa: N802
        super().connectionMade()
        self.place = contextlib.ExitStack()
        self.place.enter_context(connections.inside(_address(self.transport.getPeer())))
        self._begin()

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        self._is_heard = True
        if self._began_at is None and not self._handlingRequest:
            self._begin()
        super().dataReceived(data)

    def rawDataReceived(self, data: bytes) -> None:  # noqa: N802
        self._body_bytes += len(data)
        super().rawDataReceived(data)

    def allContentReceived(self) -> None:  # noqa: N802
        self._end()
        super().allContentReceived()
        if self.transport.protocol is not self:
            self.place.close()  # it is a WebSocket now

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        self._end()
        self.place.close()
        super().connectionLost(reason)

    def _begin(self) -> None:
        self._began_at, self._body_bytes = self._now(), 0
        self._look = self.callLater(HEAD_S, self._check)

    def _end(self) -> None:
        self._began_at = None
        if self._look is not None and self._look.active():
            self._look.cancel()

    def _check(self) -> None:
        assert self._began_at is not None
        due_at = self._began_at + HEAD_S + self._body_bytes / BODY_LEAST_BYTES_PER_S
        if (left_s := due_at - self._now()) > 0:
            self._look = self.callLater(left_s, self._check)
            return
        if self._is_heard:  # a browser that connects ahead has asked nothing yet
            log.info("upload.stalled")
            message = "The request came too slowly."
            self.transport.write(_refusal("408 Request Timeout", "too_slow", message))
        self.timeoutConnection()

    def _now(self) -> float:
        now: float = self.factory.reactor.seconds()
        return now


class Factory(HTTPFactory):
    """Makes them, as many as one address may have."""

    protocol = Channel

    def buildProtocol(self, addr: Any) -> Protocol:  # noqa: N802
        address, most = _address(addr), FOR_EACH * settings.CONNECTIONS_PER_ADDRESS
        if address and most and connections.count(address) >= most:
            return Refused()
        made: Protocol = super().buildProtocol(addr)
        return made


class Refused(Protocol):
    """A connection that is one too many."""

    transport: Any

    def connectionMade(self) -> None:  # noqa: N802
        error = CrowdedError()
        answer = _refusal("429 Too Many Requests", error.code, error.message)
        self.transport.write(answer)
        self.transport.loseConnection()


def _address(peer: Any) -> str:
    """ "" behind proxies of ours: theirs is nobody's."""
    host = getattr(peer, "host", "")
    return "" if settings.TRUSTED_PROXIES else audit.address(host, "")


def _refusal(status: str, code: str, message: str) -> bytes:
    body = json.dumps({"code": code, "message": message})
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return (head + body).encode()


def install() -> None:
    """Have servers of this process use them."""
    daphne.http_protocol.WebRequest = Request
    daphne.server.HTTPFactory = Factory
