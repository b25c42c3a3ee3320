"""The REST side: which route a request takes, what it is refused, what was asked.

Failures are made on demand and come before everything else. What the routes do is in
`routes`.
"""

from __future__ import annotations

import asyncio
import fnmatch
import json
import socket
import struct
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from fakecord.failures import Failure, Failures, Refusal
from fakecord.interactions import Interactions, Refused
from fakecord.paths import Asked
from fakecord.routes import Routes
from fakecord.world import World

API = "/api/v10"
HANG_S = 600.0


@dataclass(frozen=True, slots=True)
class Request:
    """One request, and how it was answered: None is not at all."""

    method: str
    path: str
    body: Any
    files: tuple[str, ...]
    reason: str
    at: float
    status: int | None

    def fits(self, method: str, pattern: str) -> bool:
        return method in (self.method, "*") and fnmatch.fnmatchcase(self.path, pattern)


class Rest:
    """Discord's API v10, as far as a bot like ours uses it."""

    def __init__(self, world: World, interactions: Interactions, *, token: str) -> None:
        self.requests: list[Request] = []
        self.failures = Failures()
        self._routes = Routes(world, interactions)
        self._token = token

    def asked(self, method: str, pattern: str) -> list[Request]:
        """The requests so far whose method and path fit; `*` stands for anything."""
        return [r for r in self.requests if r.fits(method, pattern)]

    async def serve(self, request: web.Request) -> web.StreamResponse:
        path = unquote(request.path).removeprefix(API)
        asked = await _read(request, path)
        status: int | None = None
        try:
            response = await self._answer(request, asked)
            status = response.status if response is not None else None
        finally:
            reason = unquote(request.headers.get("X-Audit-Log-Reason", ""))
            self.requests.append(
                Request(
                    asked.method,
                    path,
                    asked.body,
                    asked.files,
                    reason,
                    time.monotonic(),
                    status,
                )
            )
        return response or web.Response()  # of a connection that is no more

    async def _answer(self, request: web.Request, asked: Asked) -> web.Response | None:
        if failure := self.failures.take(asked.method, asked.path):
            return await self._fail(request, failure)
        if not self._may_ask(request, asked.path):
            return _refused(Refusal(401))
        try:
            return _json(self._routes.answer(asked))
        except Refused as refused:
            return _refused(refused.refusal)

    def _may_ask(self, request: web.Request, path: str) -> bool:
        if path.startswith(("/webhooks/", "/interactions/")):
            return True  # their tokens are in the path
        return request.headers.get("Authorization") == f"Bot {self._token}"

    async def _fail(
        self, request: web.Request, failure: Failure
    ) -> web.Response | None:
        if failure.way == "hang":
            await asyncio.sleep(HANG_S)
        if failure.way != "answer":
            _reset(request)
            return None
        return _refused(failure.refusal)


def _reset(request: web.Request) -> None:
    """The connection breaks by an RST, which a mere close would not send."""
    assert request.transport is not None
    raw = request.transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()


async def _read(request: web.Request, path: str) -> Asked:
    body: Any = None
    files: list[str] = []
    if request.content_type == "multipart/form-data":
        form = await request.post()
        for name, part in form.items():
            if name == "payload_json":
                body = json.loads(str(part))
            elif isinstance(part, web.FileField):
                files.append(part.filename)
    elif request.can_read_body:
        body = json.loads(await request.read() or b"null")
    return Asked(request.method, path, body, tuple(files))


def _json(body: Any, *, status: int = 200) -> web.Response:
    if body is None:
        return web.Response(status=204)
    # discord.py compares the whole header: no charset may be in it.
    headers = {"Content-Type": "application/json"}
    data = json.dumps(body).encode()
    return web.Response(body=data, status=status, headers=headers)


def _refused(refusal: Refusal) -> web.Response:
    response = _json(refusal.json(), status=refusal.status)
    response.headers.update(refusal.headers())
    return response
