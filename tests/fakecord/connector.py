"""The one thing the product gets: an aiohttp connector to which all hosts are the fake.

`discord.Client(..., connector=connector(port))`, built inside the running loop.
"""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from fakecord.certificate import trusting


class Everywhere(AbstractResolver):
    """Answers each question with one address, and with its port."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host="127.0.0.1",
                port=self._port,
                family=socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        """There is nothing to close."""


PORT, CERTIFICATE = "FAKECORD_PORT", "FAKECORD_CERTIFICATE"
PLACE = "FAKECORD_PLACE"
"""Environment variables, for a bot in another process."""
PATIENCE_S = 30.0


def connector(port: int, *, chain: bytes | None = None) -> aiohttp.TCPConnector:
    """A connector to the fake that listens on `port`; needs a running loop."""
    return aiohttp.TCPConnector(
        resolver=Everywhere(port), ssl=trusting(chain), use_dns_cache=False
    )


def from_environment() -> aiohttp.TCPConnector:
    """The same for a bot in another process, by what `FakeDiscord.env` told it."""
    chain = os.environ[CERTIFICATE].encode()
    return connector(int(os.environ[PORT]), chain=chain)


def from_file() -> aiohttp.TCPConnector:
    """The same by a file that the fake writes when it listens: the demo's."""
    place = Path(os.environ[PLACE])
    until = time.monotonic() + PATIENCE_S
    while not place.exists() and time.monotonic() < until:
        time.sleep(0.1)
    told = json.loads(place.read_text(encoding="utf-8"))
    return connector(told["port"], chain=told["chain"].encode())
