"""A road to an HTTP server on which things go wrong: a proxy that does it on purpose.

A fault is a function that gets an exchange: it may answer by itself, pass the request
on changed, pass only a part of the answer back, or tear the line.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

PATIENCE_S = 10.0


@dataclass(frozen=True)
class Request:
    """What a client sent, whole."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        return next((v for n, v in self.headers if n.lower() == name.lower()), "")

    def head(self, *, length: int) -> bytes:
        """The head as passed on, for a body of `length`, on a line used once."""
        ours = {"content-length", "connection", "expect"}
        kept = [(n, v) for n, v in self.headers if n.lower() not in ours]
        if length or self.method in {"PUT", "POST"}:
            kept.append(("Content-Length", str(length)))
        kept.append(("Connection", "close"))
        lines = [f"{self.method} {self.target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in kept]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class TornError(Exception):
    """The line to the client is to be reset."""


@dataclass(frozen=True)
class Exchange:
    """One request, and what can be done with it."""

    request: Request
    client: socket.socket
    upstream: tuple[str, int]
    over: threading.Event
    upstream_turn: threading.Lock
    """One request at a time: none that was given up overtakes what was asked since."""

    def forward(
        self, request: Request | None = None, *, sent: int | None = None
    ) -> bytes:
        """Ask the server; its whole answer. `sent`: stop after so much of the body."""
        request = request or self.request
        with (
            self.upstream_turn,
            socket.create_connection(self.upstream, PATIENCE_S) as line,
        ):
            self._raise_if_given_up()
            line.sendall(request.head(length=len(request.body)))
            line.sendall(request.body[:sent])
            if sent is not None:
                line.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: line.recv(65536), b""))

    def answer(self, data: bytes) -> None:
        self.client.sendall(data)

    def _raise_if_given_up(self) -> None:
        """Who lost patience has asked again: its first try must not come after that."""
        waiting, _, _ = select.select([self.client], [], [], 0)
        if waiting and not self.client.recv(1, socket.MSG_PEEK):
            raise TornError


Fault = Callable[[Exchange], None]
Chooser = Callable[[Request], Fault | None]


def well(exchange: Exchange) -> None:
    exchange.answer(exchange.forward())


def says(status: int, code: str) -> Fault:
    """An answer with S3's word for what is wrong, the server not being asked."""

    def fault(exchange: Exchange) -> None:
        body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
        if exchange.request.method == "HEAD":
            body = b""
        head = (
            f"HTTP/1.1 {status} Wrong\r\nContent-Type: application/xml\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        exchange.answer(head.encode() + body)

    fault.__name__ = code  # what a test of it is called
    return fault


def resets_in_mid_body(exchange: Exchange) -> None:
    """The body was read by half only: see Road."""
    raise TornError


def loses_the_answer(exchange: Exchange) -> None:
    exchange.forward()
    raise TornError


def stores_half(exchange: Exchange) -> None:
    """Half of the body is stored, and the client is told that all is well."""
    body = exchange.request.body
    exchange.answer(
        exchange.forward(replace(exchange.request, body=body[: len(body) // 2]))
    )


def stores_half_and_resets(exchange: Exchange) -> None:
    body = exchange.request.body
    exchange.forward(replace(exchange.request, body=body[: len(body) // 2]))
    raise TornError


def breaks_off_upstream(exchange: Exchange) -> None:
    """The client dies in mid body, as the server sees it."""
    with contextlib.suppress(OSError):
        exchange.forward(sent=len(exchange.request.body) // 2)
    raise TornError


def stores_a_wrong_byte(exchange: Exchange) -> None:
    exchange.answer(
        exchange.forward(replace(exchange.request, body=spoilt(exchange.request.body)))
    )


def stores_nothing(exchange: Exchange) -> None:
    exchange.answer(
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )


def answers_half(exchange: Exchange) -> None:
    head, gap, body = exchange.forward().partition(b"\r\n\r\n")
    exchange.answer(head + gap + body[: len(body) // 2])
    raise TornError


def answers_half_and_closes(exchange: Exchange) -> None:
    head, gap, body = exchange.forward().partition(b"\r\n\r\n")
    exchange.answer(head + gap + body[: len(body) // 2])


def answers_a_wrong_byte(exchange: Exchange) -> None:
    head, gap, body = exchange.forward().partition(b"\r\n\r\n")
    exchange.answer(head + gap + spoilt(body))


def hangs(exchange: Exchange) -> None:
    exchange.over.wait(PATIENCE_S)


def drips(exchange: Exchange) -> None:
    """Never silent for long, and never done: a socket's time-out does not see it."""
    exchange.answer(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not exchange.over.wait(0.02):
        exchange.answer(b".")


def drips_the_body(exchange: Exchange) -> None:
    head, gap, body = exchange.forward().partition(b"\r\n\r\n")
    exchange.answer(head + gap + body[:1])
    for place in range(1, len(body)):
        if exchange.over.wait(0.02):
            return
        exchange.answer(body[place : place + 1])


def spoilt(body: bytes) -> bytes:
    """One bit of the middle byte is another."""
    middle = len(body) // 2
    return (
        body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :] if body else b""
    )


class Road:
    """The proxy. Set `chooser`; all is well where it gives None."""

    def __init__(self, upstream: str) -> None:
        there = urlsplit(upstream)
        assert there.hostname
        assert there.port
        self._upstream = (there.hostname, there.port)
        self._over = threading.Event()
        self._upstream_turn = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lines: list[threading.Thread] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.seen: list[Request] = []
        self.chooser: Chooser = lambda _: None
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def once(self, fault: Fault, *, method: str, times: int = 1) -> None:
        """The next requests of a method meet a fault; all others are well."""
        left = [times]

        def choose(request: Request) -> Fault | None:
            if request.method != method or not left[0]:
                return None
            left[0] -= 1
            return fault

        self.chooser = choose

    def always(self, fault: Fault) -> None:
        self.chooser = lambda _: fault

    def count(self, method: str) -> int:
        return sum(request.method == method for request in self.seen)

    def close(self) -> None:
        self._over.set()
        # Closing alone does not wake who waits in accept.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in [self._thread, *self._lines]:
            thread.join(PATIENCE_S)

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            line = threading.Thread(target=self._serve, args=[client], daemon=True)
            self._lines.append(line)
            line.start()

    def _exchange(self, client: socket.socket) -> None:
        if not (read := read_head(client)):
            return
        head, begun = read
        fault = self.chooser(head) or well
        half = fault is resets_in_mid_body
        request = replace(head, body=read_body(client, head, begun, half=half))
        self.seen.append(request)
        fault(
            Exchange(request, client, self._upstream, self._over, self._upstream_turn)
        )

    def _serve(self, client: socket.socket) -> None:
        with client:
            client.settimeout(PATIENCE_S)
            with contextlib.suppress(OSError):
                try:
                    self._exchange(client)
                except TornError:
                    reset = struct.pack("ii", 1, 0)
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)


def read_head(client: socket.socket) -> tuple[Request, bytes] | None:
    """A request without its body, and what came of the body already."""
    data = b""
    while b"\r\n\r\n" not in data:
        got = client.recv(65536)
        if not got:
            return None
        data += got
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = tuple((n, v.strip()) for n, _, v in (x.partition(":") for x in lines))
    return Request(method, target, headers, b""), body


def read_body(
    client: socket.socket, head: Request, body: bytes, *, half: bool
) -> bytes:
    if head.header("Expect").lower() == "100-continue":
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    length = int(head.header("Content-Length") or 0)
    if half:
        length //= 2
    while len(body) < length and (got := client.recv(min(length - len(body), 1 << 18))):
        body += got
    return body


@contextlib.contextmanager
def bad_road(upstream: str) -> Iterator[Road]:
    road = Road(upstream)
    try:
        yield road
    finally:
        road.close()
