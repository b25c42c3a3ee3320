"""Cables between the parts of a run, in a process of their own.

    python -m chaos.cables db=5432 redis=6379

Prints a line of JSON, the port of each cable; then takes orders by its standard input,
`{"cable": mode}`, and answers each with a line when it is done:

    well    what comes is passed on
    slow    the same, 200 ms later
    silent  nothing is passed on; nobody is told
    cut     lines are reset, and whoever connects is hung up on
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import sys

SLOW_S = 0.2


class Cable:
    """One of them."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._mode = "well"
        self._passes = asyncio.Event()
        self._passes.set()
        self._ends: set[asyncio.StreamWriter] = set()

    def set(self, mode: str) -> None:
        self._mode = mode
        if mode == "silent":
            self._passes.clear()
        else:
            self._passes.set()
        if mode == "cut":
            for end in self._ends:
                _reset(end)

    async def lay(self) -> int:
        """Listen; at which port."""
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        port: int = server.sockets[0].getsockname()[1]
        return port

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


async def main(words: list[str]) -> None:
    cables = {name: Cable(int(to)) for name, _, to in (w.partition("=") for w in words)}
    ports = {name: await cable.lay() for name, cable in cables.items()}
    print(json.dumps(ports), flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        for name, mode in json.loads(line).items():
            cables[name].set(mode)
        print("done", flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1:]))
