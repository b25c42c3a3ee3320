"""A cable between two ends on this machine, which can be cut, and mended.

well    what comes is passed on
slow    the same, 200 ms later
silent  nothing is passed on; nobody is told
cut     lines are reset, and whoever connects is hung up on
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from typing import Literal

Mode = Literal["well", "slow", "silent", "cut"]
SLOW_S = 0.2


class Cable:
    """Listens on `port`, and passes on to the port `to` of this machine."""

    def __init__(self, to: int) -> None:
        self.port = 0
        self._to = to
        self._mode: Mode = "well"
        self._passes = asyncio.Event()
        self._passes.set()
        self._ends: set[asyncio.StreamWriter] = set()

    def set(self, mode: Mode) -> None:
        self._mode = mode
        if mode == "silent":
            self._passes.clear()
        else:
            self._passes.set()
        if mode == "cut":
            for end in self._ends:
                _reset(end)

    async def lay(self) -> asyncio.Server:
        """Listen."""
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await self._passes.wait()
        if self._mode == "cut":
            _reset(writer)
            return
        try:
            theirs, ours = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:  # whom it leads to is not there
            _reset(writer)
            return
        ends = {writer, ours}
        self._ends |= ends
        try:
            await asyncio.gather(self._pass(reader, ours), self._pass(theirs, writer))
        finally:
            self._ends -= ends
            for end in ends:
                end.close()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while data := await reader.read(1 << 16):
                await self._passes.wait()
                if self._mode == "slow":
                    await asyncio.sleep(SLOW_S)
                writer.write(data)
                await writer.drain()
            writer.write_eof()
        except (OSError, RuntimeError):
            # One end was torn off: so is the other.
            _reset(writer)


def _reset(end: asyncio.StreamWriter) -> None:
    """As a line that broke: closing alone would be a farewell."""
    line = end.get_extra_info("socket")
    with contextlib.suppress(OSError):
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.transport.abort()


@contextlib.asynccontextmanager
async def cable(to: int) -> AsyncIterator[Cable]:
    """Laid for as long as the block lasts."""
    laid = Cable(to)
    server = await laid.lay()
    try:
        yield laid
    finally:
        server.close()
        laid.set("cut")
