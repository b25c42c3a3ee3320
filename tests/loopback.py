"""A server on this machine that answers as a test wants, and notes what it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

Script = Callable[["Asked"], Awaitable[None]]
"""Writes one answer."""


class Asked:
    """One question: what it said, and the way to answer."""

    def __init__(self, request: web.Request, question: dict[str, Any]) -> None:
        self.path = request.path
        self.key = request.headers.get("Authorization", "")
        self.question = question
        self._request = request
        self._response: web.StreamResponse | None = None

    async def begin(self, kind: str, *, status: int = 200) -> None:
        self._response = web.StreamResponse(status=status)
        self._response.content_type = kind
        await self._response.prepare(self._request)

    async def send(self, data: bytes | str) -> None:
        assert self._response is not None
        data = data.encode() if isinstance(data, str) else data
        await self._response.write(data)

    async def refuse(self, status: int, body: str = "secret words") -> None:
        await self.begin("text/plain", status=status)
        await self.send(body)

    async def redirect(self, to: str) -> None:
        self._response = web.StreamResponse(status=307, headers={"Location": to})
        await self._response.prepare(self._request)

    def cut(self) -> None:
        """The connection breaks."""
        assert self._request.transport is not None
        self._request.transport.abort()

    @property
    def response(self) -> web.StreamResponse:
        return self._response or web.Response(status=500)


class Server:
    """Answers each question by `script`; `async with Server(script) as server`."""

    def __init__(self, script: Script) -> None:
        self.asked: list[Asked] = []
        self.left = asyncio.Event()
        """Whoever asked has gone before the end."""
        self._script = script
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._server = TestServer(app, handler_cancellation=True)

    @property
    def url(self) -> str:
        return str(self._server.make_url("/v1"))

    async def __aenter__(self) -> Server:
        await self._server.start_server()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._server.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        asked = Asked(request, await request.json())
        self.asked.append(asked)
        try:
            await self._script(asked)
        except (asyncio.CancelledError, ConnectionError):
            self.left.set()
            raise
        return asked.response
