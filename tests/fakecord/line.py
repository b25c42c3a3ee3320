"""One websocket of a client, with the time a message takes on the way to it.

Order is kept, whatever the latency. What a client sends is read without delay.
"""

from __future__ import annotations

import asyncio
import contextlib
import json

from aiohttp import WSMsgType, web

from fakecord.entities import Json

CLOSING_S = 2.0
TOGETHER_S = 0.001
"""What is due within this time goes out at once. A turn of the loop between the two
events of a voice connection is what discord.py sleeps through (`_wait_for_state`)."""


class Line:
    """Sends later, in order; `async for` gives what comes."""

    def __init__(self, socket: web.WebSocketResponse, *, latency_s: float) -> None:
        self.latency_s = latency_s
        self.closed_with: int | None = None
        """The code with which our side closed."""
        self.left_with: int | None = None
        """The code with which the client closed."""
        self.dead = False
        """Nothing more is sent, though it stays open."""
        self._socket = socket
        self._waiting: asyncio.Queue[tuple[float, str | bytes | int]] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._send_all())

    @property
    def is_open(self) -> bool:
        return self.closed_with is None and not self._socket.closed

    def send_json(self, message: Json) -> None:
        self._put(json.dumps(message))

    def send_bytes(self, message: bytes) -> None:
        self._put(message)

    def close(self, code: int) -> None:
        """Close once all that waits has been sent."""
        if self.is_open:
            self.closed_with = code
            self._waiting.put_nowait((self._due(), code))

    def cut(self) -> None:
        """The connection breaks, without a word."""
        self.closed_with = 1006
        self._task.cancel()
        request = self._socket._req  # aiohttp has no public way to the transport
        if request is not None and request.transport is not None:
            request.transport.abort()

    def _put(self, message: str | bytes) -> None:
        if self.is_open:
            self._waiting.put_nowait((self._due(), message))

    def _due(self) -> float:
        return self._loop.time() + self.latency_s

    async def _send_all(self) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError, RuntimeError, TimeoutError):
            while True:
                due, message = await self._waiting.get()
                if (wait_s := due - loop.time()) > TOGETHER_S:
                    await asyncio.sleep(wait_s)
                if self.dead:
                    continue
                if isinstance(message, bytes):
                    await self._socket.send_bytes(message)
                elif isinstance(message, str):
                    await self._socket.send_str(message)
                else:
                    async with asyncio.timeout(CLOSING_S):
                        await self._socket.close(code=message)
                    return

    def __aiter__(self) -> Line:
        return self

    async def __anext__(self) -> Json | bytes:
        message = await self._socket.receive()
        if message.type is WSMsgType.TEXT:
            found: Json = json.loads(message.data)
            return found
        if message.type is WSMsgType.BINARY:
            return bytes(message.data)
        if message.type is WSMsgType.CLOSE:
            self.left_with = message.data
        raise StopAsyncIteration

    async def end(self) -> None:
        """Nothing more is sent."""
        self._task.cancel()
        await asyncio.wait([self._task])
