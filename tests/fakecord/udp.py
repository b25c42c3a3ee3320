"""The UDP port of the voice server: IP discovery, keep-alives, and what bots say."""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from fakecord.voicegateway import Connection

Address = tuple[str, int]
DISCOVERY = struct.Struct(">HHI64sH")
ASKED, ANSWERED = 1, 2
KEEP_ALIVE_BYTES = 8


class Udp(asyncio.DatagramProtocol):
    """One socket for all calls; a connection is known by its SSRC."""

    def __init__(self) -> None:
        self.connections: dict[int, Connection] = {}
        self.keep_alives = 0
        self.unknown = 0
        """Packets that nobody known has sent, or that did not open."""
        self.silent = False
        """True: the road is dead, in both directions."""
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, ("127.0.0.1", 0))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    @property
    def address(self) -> Address:
        assert self._transport is not None
        host, port = self._transport.get_extra_info("sockname")
        return host, port

    def send(self, data: bytes, to: Address) -> None:
        if self.silent or self._transport is None:
            return
        if not self._transport.is_closing():
            self._transport.sendto(data, to)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's own is not of this class in 3.11, though it behaves like it.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if self.silent:
            return
        if len(data) == DISCOVERY.size and data[:2] == b"\0\1":
            self._discover(data, addr)
        elif len(data) == KEEP_ALIVE_BYTES:
            self.keep_alives += 1
            self.send(data, addr)
        elif len(data) > 12 and data[0] >> 6 == 2:
            self._take(data, addr)
        else:
            self.unknown += 1

    def _discover(self, data: bytes, addr: Address) -> None:
        _, size, ssrc, _, _ = DISCOVERY.unpack(data)
        connection = self.connections.get(ssrc)
        if connection is None:
            return
        connection.address = addr
        answer = DISCOVERY.pack(ANSWERED, size, ssrc, addr[0].encode(), addr[1])
        self.send(answer, addr)

    def _take(self, data: bytes, addr: Address) -> None:
        ssrc = struct.unpack_from(">I", data, 8)[0]
        connection = self.connections.get(ssrc)
        if connection is None or connection.address != addr:
            self.unknown += 1
            return
        try:
            packet = connection.cipher.open(data)
        except Exception:  # both libraries have errors of their own for a bad seal
            self.unknown += 1
            return
        connection.room.say(connection, packet)
