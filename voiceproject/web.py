"""The web process: Daphne with our limits and our way to stop.

Daphne's own stop cancels every connection where it stands. Ours first lets nobody new
in, and captures write down what they have heard.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from typing import Any

import structlog
from asgiref.sync import sync_to_async
from daphne.endpoints import build_endpoint_description_strings
from daphne.server import reactor, twisted_loop

from sessions import realtime
from sessions.capture.registry import registry
from voiceproject import sockets, uploads
from voiceproject.downlinks import PacedServer

log = structlog.get_logger(__name__)

SETTLE_S = 2.5
"""How long captures get to write down their last words; the supervisor waits 3 s."""
WEEK_S = 7 * 24 * 3600


class PortTakenError(Exception):
    """Somebody else listens at our address."""


class ClosingServer(PacedServer):
    """A server whose doors can be closed while it serves on who is inside."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._ports: list[Any] = []

    def listen_success(self, port: Any) -> None:
        super().listen_success(port)
        self._ports.append(port)

    async def close_ports(self) -> None:
        """Whoever connects from now on is refused, and goes to another server."""
        for port in self._ports:
            await port.stopListening().asFuture(twisted_loop)


def serve(host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM. Raises PortTakenError."""
    from voiceproject.asgi import application

    check_free(host, port)
    sockets.install()
    uploads.install()
    server: ClosingServer = ClosingServer(
        application,
        endpoints=build_endpoint_description_strings(host=host, port=port),
        signal_handlers=False,
        server_name="parley",
        verbosity=0,
        websocket_max_message_size=sockets.MESSAGE_MAX_BYTES,
        websocket_max_frame_size=sockets.MESSAGE_MAX_BYTES,
        websocket_timeout=WEEK_S,  # a day, Daphne's default, is shorter than some talks
        ready_callable=lambda: _begin(server),
    )
    realtime.tune()
    log.info("web.started", host=host, port=port)
    server.run()
    log.info("web.stopped")


def check_free(host: str, port: int) -> None:
    """Raises PortTakenError when the address is in use: Daphne would only log it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as e:
            raise PortTakenError(f"{host}:{port} cannot be used: {e.strerror}") from e


def _begin(server: ClosingServer) -> None:
    # Of those whom nobody awaits, asyncio forgets them.
    _running.add(twisted_loop.create_task(_keep_connection()))
    for number in (signal.SIGINT, signal.SIGTERM):
        twisted_loop.add_signal_handler(number, _begin_to_stop, server)


def _begin_to_stop(server: ClosingServer) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        twisted_loop.add_signal_handler(number, lambda: None)  # once is enough
    _running.add(twisted_loop.create_task(_stop(server)))


_running: set[asyncio.Task[None]] = set()


async def _keep_connection() -> None:
    """Of the one thread in which WebSockets ask the database."""
    await sync_to_async(realtime.keep_connection)()


async def _stop(server: ClosingServer) -> None:
    registry().close()  # over a connection that a proxy keeps, they come all the same
    try:
        async with asyncio.timeout(SETTLE_S):
            await server.close_ports()
            await registry().shut_down()
    except Exception:
        # Whatever could not be written in time is the recovery's; we must end.
        log.exception("web.stopped_early")
    reactor.stop()
