"""A real S3 server by moto, empty as it starts."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from moto.server import ThreadedMotoServer


@contextmanager
def moto_server() -> Iterator[str]:
    """Its address. All of a process keep their objects in one place: one at a time."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    try:
        _empty(url)
        yield url
    finally:
        server.stop()
        assert server._server
        server._server.server_close()


def _empty(url: str) -> None:
    """What an earlier one of this process was given is still there."""
    request = urllib.request.Request(f"{url}/moto-api/reset", method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200
