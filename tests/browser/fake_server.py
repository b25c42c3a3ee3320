"""A scripted server for the page: real templates and scripts, everything else acted.

Its verbs make the weather: `say`, `unplug`, `drop_audio`, `forget_sound`. It follows
the contract of the real one, so that odd moments can be had on purpose.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import WSCloseCode, web
from django.template.loader import render_to_string

from sessions.csp import policy
from sessions.models import VoiceSession
from sessions.pages import config_of

STATIC = Path(__file__).resolve().parents[2] / "sessions" / "static" / "parley"
HTMX = Path(__file__).resolve().parents[2] / "node_modules" / "htmx.org" / "dist"
TOKEN = "a-token"


@dataclass(slots=True)
class Stream:
    """What came over one stream, all connections together. `holes`: (byte, bytes)."""

    sound: bytearray = field(default_factory=bytearray)
    holes: list[tuple[int, int]] = field(default_factory=list)
    connections: int = 0
    stopped: bool = False
    name: str = ""
    consent: str = ""
    # Where the next connection is told to go on, if not behind what came.
    told: int | None = None


class FakeServer:
    """One session, `id`, on a port of its own."""

    def __init__(self) -> None:
        self.id = str(uuid.uuid4())
        self.title = "Monday planning"
        self.state, self.end_reason, self.exists = "active", "", True
        self.started_at = datetime.now(UTC) - timedelta(seconds=65)
        self.is_owner = True
        self.email, self.is_subscribed = "", False
        self.record = True
        self.events: list[dict[str, Any]] = []
        self.people: list[dict[str, Any]] = []
        self.speech = {
            "state": "ready",
            "demo": False,
            "model": "small",
            "behind_s": 0.0,
            "message": "",
        }
        self.streams: dict[str, Stream] = {}
        self.rendered: dict[str, str] = {}
        self.acknowledge = True
        self.refusal = ""
        self.reads = 0
        self.forgotten: list[str] = []
        self.replayed_after: list[int] = []
        self._unplugged = False
        self._feeds: set[asyncio.Queue[dict[str, Any] | None]] = set()
        self._sockets: set[web.WebSocketResponse] = set()

    # --- verbs --------------------------------------------------------------------

    def tell(self, type_: str, **data: Any) -> dict[str, Any]:
        """Append a stored event, and show it to whoever follows."""
        event = {"seq": len(self.events) + 1, "type": type_, **data}
        self.events.append(event)
        self.flash(event)
        return event

    def flash(self, event: dict[str, Any]) -> None:
        """Show an event to whoever follows just now."""
        for queue in self._feeds:
            queue.put_nowait(event)

    def join(self, name: str) -> str:
        person = str(uuid.uuid4())
        self.people.append({"id": person, "name": name, "present": True})
        self.tell("participant", participant=person, name=name, present=True)
        return person

    def leave(self, person: str) -> None:
        who = next(p for p in self.people if p["id"] == person)
        who["present"] = False
        self.tell("participant", participant=person, name=who["name"], present=False)

    def say(
        self, person: str, text: str, *, at_s: float, line: str = ""
    ) -> dict[str, Any]:
        return self.tell("utterance", **self._line(person, text, at_s, line))

    def mumble(
        self, person: str, text: str, *, at_s: float, line: str, rev: int, stable: int
    ) -> None:
        data = self._line(person, text, at_s, line)
        self.flash({"type": "partial", "rev": rev, "stable": stable, **data})

    def _line(self, person: str, text: str, at_s: float, line: str) -> dict[str, Any]:
        name = next(p["name"] for p in self.people if p["id"] == person)
        start = round(at_s * 1000)
        return {
            "id": line or str(uuid.uuid4()),
            "participant": person,
            "name": name,
            "start_ms": start,
            "end_ms": start + 300 * len(text.split()),
            "text": text,
        }

    def think(self, **speech: Any) -> None:
        """Speech-to-text says how it is."""
        self.speech.update(speech)
        self.flash({"type": "speech", **self.speech})

    def end(self, reason: str, *, state: str = "finishing") -> None:
        self.state, self.end_reason = state, reason
        self.tell("state", state=state, reason=reason)

    def unplug(self) -> None:
        """The network is gone: what is open breaks, nothing new comes through."""
        self._unplugged = True
        self.drop_feeds()
        self.drop_audio()

    def plug_in(self) -> None:
        self._unplugged = False

    def drop_feeds(self) -> None:
        for queue in self._feeds:
            queue.put_nowait(None)

    def drop_audio(self) -> None:
        """Cut the connections as a dead network does, without a close frame."""
        for socket in self._sockets:
            if transport := socket._req and socket._req.transport:
                transport.abort()

    async def close_audio(self, code: int, reason: str) -> None:
        for socket in list(self._sockets):
            await socket.close(code=code, message=reason.encode())

    @property
    def followers(self) -> int:
        return len(self._feeds)

    @property
    def speakers(self) -> int:
        return len(self._sockets)

    @property
    def page(self) -> str:
        return f"{self.url}/session/{self.id}?token={TOKEN}"

    # --- the acting ---------------------------------------------------------------

    async def start(self) -> None:
        app = web.Application(middlewares=[self._weather])
        api = f"/api/sessions/{self.id}"
        app.add_routes(
            [
                web.static("/static/parley", STATIC),
                web.static("/static/htmx", HTMX),
                web.get("/live", self._board),
                web.get("/blank", self._blank),
                web.get("/render/{name}", self._render),
                web.get(f"/session/{self.id}", self._page),
                web.get(f"/session/{self.id}/audio", self._audio),
                web.get(f"{api}/events", self._events),
                web.get(api, self._read),
                web.post(f"{api}/end", self._end),
                web.post(f"{api}/bookmarks", self._note),
                web.post(f"{api}/forget-me", self._forget_me),
                web.route("*", f"{api}/subscription", self._subscription),
            ]
        )
        self._runner = web.AppRunner(
            app, shutdown_timeout=0.1, access_log=None, handler_cancellation=True
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.host = f"127.0.0.1:{port}"
        self.url = f"http://{self.host}"

    async def close(self) -> None:
        self.drop_feeds()
        self.drop_audio()
        await self._runner.cleanup()

    @web.middleware
    async def _weather(self, request: web.Request, handler: Any) -> web.StreamResponse:
        # Scripts come as from the browser's cache: each is loaded before bad weather.
        cached = request.path.startswith("/static/")
        if self._unplugged and request.transport and not cached:
            request.transport.abort()
            raise web.HTTPServiceUnavailable
        answer: web.StreamResponse = await handler(request)
        return answer

    def _html(self, text: str) -> web.Response:
        headers = {"Content-Security-Policy": policy(self.host)}
        return web.Response(text=text, content_type="text/html", headers=headers)

    async def _blank(self, request: web.Request) -> web.Response:
        return web.Response(
            text="<!doctype html><title>blank</title>", content_type="text/html"
        )

    async def _board(self, request: web.Request) -> web.StreamResponse:
        """Nothing is live; also where no socket gets through."""
        empty = {"type": "cards", "ids": [], "more": 0, "cards": []}
        if "Upgrade" not in request.headers:
            return web.json_response(empty)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json(empty)
        await socket.receive()
        return socket

    async def _render(self, request: web.Request) -> web.Response:
        """What a test has rendered, or any template without a context."""
        name = request.match_info["name"].replace(":", "/")
        return self._html(self.rendered.get(name) or render_to_string(name, {}))

    async def _page(self, request: web.Request) -> web.Response:
        session = VoiceSession(
            public_id=self.id,
            title=self.title,
            state=self.state,
            end_reason=self.end_reason,
            started_at=self.started_at,
            ended_at=None if self.state == "active" else datetime.now(UTC),
            last_seq=len(self.events),
            record=self.record,
            source="browser",
        )
        config = config_of(
            session,
            token=request.query.get("token", ""),
            csrf="csrf",
            page_url=self.page,
            worklet_url="/static/parley/worklet.js",
        )
        context = {
            "session": session,
            "token": TOKEN,
            "is_owner": self.is_owner,
            "config": config.to_json(),
            "user": {"email": self.email},
        }
        return self._html(render_to_string("session.html", context))

    async def _read(self, request: web.Request) -> web.Response:
        self.reads += 1
        if not self.exists:
            message = "There is no such session."
            return web.json_response(
                {"code": "not_found", "message": message}, status=404
            )
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"code": "not_found", "message": ""}, status=404)
        return web.json_response(
            {
                "id": self.id,
                "state": self.state,
                "end_reason": self.end_reason,
                "last_seq": len(self.events),
                "participants": self.people,
                "speech": self.speech,
            }
        )

    async def _end(self, request: web.Request) -> web.Response:
        if request.headers.get("X-CSRFToken") != "csrf":
            return web.json_response({"code": "csrf", "message": ""}, status=403)
        self.end("requested")
        return web.json_response({"id": self.id, "state": self.state})

    async def _note(self, request: web.Request) -> web.Response:
        if self.refusal:
            told = {"code": "refused", "message": self.refusal}
            return web.json_response(told, status=409)
        sent = await request.json()
        note = {"id": str(uuid.uuid4()), "name": "Guest", "author": "", **sent}
        self.tell("note", **note)
        return web.json_response(note, status=201)

    async def _subscription(self, request: web.Request) -> web.Response:
        if self.refusal or "Authorization" in request.headers:
            told = {"code": "refused", "message": self.refusal}
            return web.json_response(told, status=401)
        if request.method != "GET":
            assert request.headers["X-CSRFToken"] == "csrf"
            self.is_subscribed = request.method == "POST"
        return web.json_response({"subscribed": self.is_subscribed})

    async def _forget_me(self, request: web.Request) -> web.Response:
        self.forgotten += (await request.json())["streams"]
        return web.json_response({"receipts": []}, status=202)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        after = int(request.query.get("after", "0"))
        self.replayed_after.append(after)
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._feeds.add(queue)
        for event in self.events[after:]:
            queue.put_nowait(event)
        try:
            while (news := await queue.get()) is not None:
                line = f"id: {news['seq']}\n" if "seq" in news else ""
                await answer.write(f"{line}data: {json.dumps(news)}\n\n".encode())
        except ConnectionError:
            pass  # the page has closed it
        finally:
            self._feeds.discard(queue)
        if request.transport:
            request.transport.abort()
        return answer

    async def _audio(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if self.state != "active":
            await socket.close(code=4010, message=b"The session has ended.")
            return socket
        if "consent" not in request.query:
            await socket.close(code=4012, message=b"Nobody agreed.")
            return socket
        stream = self.streams.setdefault(request.query["stream"], Stream())
        stream.consent = request.query["consent"]
        stream.name = request.query.get("name", "")
        stream.connections += 1
        await self._forget(stream)
        self._sockets.add(socket)
        try:
            await socket.send_json({"type": "ready", "bytes": len(stream.sound)})
            await self._hear(socket, stream)
        except ConnectionError:
            pass  # cut on purpose
        finally:
            self._sockets.discard(socket)
        return socket

    async def _forget(self, stream: Stream) -> None:
        """A server that died remembers only what it had written down."""
        if stream.told is not None:
            del stream.sound[stream.told :]
            stream.told = None

    async def _hear(self, socket: web.WebSocketResponse, stream: Stream) -> None:
        async for message in socket:
            if message.type == web.WSMsgType.BINARY:
                stream.sound += message.data
                if self.acknowledge:
                    await socket.send_json({"ok": True, "bytes": len(message.data)})
                continue
            told = json.loads(message.data)
            if told["type"] == "skip":
                lost = 2 * told["samples"]
                stream.holes.append((len(stream.sound), lost))
                stream.sound += bytes(lost)
            elif told["type"] == "stop":
                stream.stopped = True
                await socket.close(code=WSCloseCode.OK, message=b"stopped")
