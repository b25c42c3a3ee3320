"""The REST side: which route a request takes, what it is refused, what was asked.

Failures are made on demand and come before everything else; then come rate limits. What
the routes do is in `routes`.
"""

from __future__ import annotations

import asyncio
import fnmatch
import json
import socket
import struct
import time
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from fakecord.failures import CARRIED_OUT, Failure, Failures, Refusal, Refused
from fakecord.interactions import Interactions
from fakecord.limits import Limits
from fakecord.mail import Upload
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
    uploads: tuple[Upload, ...]
    reason: str
    at: float
    status: int | None

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the files that came with it."""
        return tuple(upload.name for upload in self.uploads)

    def fits(self, method: str, pattern: str) -> bool:
        return method in (self.method, "*") and fnmatch.fnmatchcase(self.path, pattern)


class Rest:
    """Discord's API v10, as far as a bot like ours uses it."""

    def __init__(self, world: World, interactions: Interactions, *, token: str) -> None:
        self.requests: list[Request] = []
        self.failures = Failures()
        self.limits = Limits()
        self._world = world
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

    async def serve_file(self, request: web.Request) -> web.Response:
        """What the CDN has under /attachments/{channel}/{id}/{name}."""
        id_ = request.path.split("/")[-2]
        found = self._world.mail.uploads.get(int(id_)) if id_.isdecimal() else None
        if found is None:
            return web.Response(status=404)
        return web.Response(body=found.data)

    async def _answer(self, request: web.Request, asked: Asked) -> web.Response | None:
        if failure := self.failures.take(asked.method, asked.path):
            return await self._fail(request, asked, failure)
        return self._act(request, asked)

    def _act(self, request: web.Request, asked: Asked) -> web.Response:
        """Do what was asked, if nothing speaks against it."""
        if not self._may_ask(request, asked.path):
            return _refused(Refusal(401))
        headers: dict[str, str] = {}
        try:
            path, act = self._routes.find(asked)
            spent = self.limits.spend(asked.method, path, asked.path)
            headers = spent.headers()
            if spent.wait_s is not None:
                raise Refused(Refusal(429, retry_after_s=spent.wait_s))
            response = _json(act())
        except Refused as refused:
            response = _refused(refused.refusal)
        response.headers.update(headers)
        return response

    def _may_ask(self, request: web.Request, path: str) -> bool:
        if path.startswith(("/webhooks/", "/interactions/")):
            return True  # their tokens are in the path
        return request.headers.get("Authorization") == f"Bot {self._token}"

    async def _fail(
        self, request: web.Request, asked: Asked, failure: Failure
    ) -> web.Response | None:
        done = self._act(request, asked) if failure.way in CARRIED_OUT else None
        await asyncio.sleep(failure.after_s)
        if failure.way in ("hang", "mute"):
            await asyncio.sleep(HANG_S)
        if failure.way in ("reset", "lost", "hang", "mute"):
            _reset(request)
            return None
        if failure.way == "slow":
            return done
        return _refused(failure.refusal)


def _reset(request: web.Request) -> None:
    """The connection breaks by an RST, which a mere close would not send."""
    assert request.transport is not None
    raw = request.transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()


async def _read(request: web.Request, path: str) -> Asked:
    body: Any = None
    files: list[Upload] = []
    if request.content_type == "multipart/form-data":
        form = await request.post()
        for name, part in form.items():
            if name == "payload_json":
                body = json.loads(str(part))
            elif isinstance(part, web.FileField):
                files.append(Upload(part.filename, part.file.read()))
    elif request.can_read_body:
        body = json.loads(await request.read() or b"null")
    return _flat(Asked(request.method, path, body, tuple(files)))


def _flat(asked: Asked) -> Asked:
    """New files stand among the attachments by their numbers: they are no ids."""
    body = asked.body if isinstance(asked.body, dict) else {}
    holder = body.get("data") or {} if "/callback" in asked.path else body
    if not holder.get("attachments"):
        return asked
    kept = [one for one in holder["attachments"] if int(one["id"]) >= len(asked.files)]
    inner = holder | {"attachments": kept}
    return replace(asked, body=inner if holder is body else body | {"data": inner})


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
