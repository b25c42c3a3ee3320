"""A Discord for signing in: a server on this machine that gives codes, tokens, a
profile and guilds, and that can be told to misbehave."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

CLIENT, SECRET = "app-1", "app-secret"
CODE, TOKEN = "a-code", "a-token"
API = "/api/v10"


class OAuthDiscord:
    """`with OAuthDiscord() as discord`: one person says yes or no to one client."""

    def __init__(self) -> None:
        self.person: Any = {"id": "500", "username": "eve", "global_name": "Eve"}
        self.guilds: Any = []
        self.consents = True
        self.asked: list[str] = []
        self.queries: list[dict[str, list[str]]] = []
        self._answers: dict[str, tuple[int, bytes]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        serve = self._server.serve_forever
        self._thread = threading.Thread(target=serve, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def misbehaves(self, path: str, *, status: int = 200, body: bytes = b"") -> None:
        """Whatever is asked for under this path is answered so."""
        self._answers[path] = (status, body)

    def __enter__(self) -> OAuthDiscord:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.goes_away()

    def goes_away(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, path: str, form: dict[str, list[str]], bearer: str) -> Any:
        """The status and what is said, as Discord would."""
        if path == f"{API}/oauth2/token":
            given = [form.get(n, [""])[0] for n in ("code", "client_id")]
            secret = form.get("client_secret", [""])[0]
            if given != [CODE, CLIENT] or secret != SECRET:
                return 400, {"error": "invalid_grant"}
            scope = "identify guilds"
            whole = {"token_type": "Bearer", "expires_in": 604800, "scope": scope}
            return 200, whole | {"access_token": TOKEN, "refresh_token": "r"}
        if bearer != f"Bearer {TOKEN}":
            return 401, {"message": "401: Unauthorized", "code": 0}
        known = {
            f"{API}/users/@me": self.person,
            f"{API}/users/@me/guilds": self.guilds,
        }
        return (200, known[path]) if path in known else (404, {"message": "404"})

    def _handler(discord) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                if parts.path == "/oauth2/authorize":
                    self._consent(parse_qs(parts.query))
                else:
                    self._say(parts.path, {})

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                form = parse_qs(self.rfile.read(length).decode())
                self._say(urlsplit(self.path).path, form)

            def _consent(self, query: dict[str, list[str]]) -> None:
                discord.queries.append(query)
                says = {"code": CODE} if discord.consents else REFUSED
                back = urlencode(says | {"state": query["state"][0]})
                self.send_response(302)
                self.send_header("Location", f"{query['redirect_uri'][0]}?{back}")
                self.end_headers()

            def _say(self, path: str, form: dict[str, list[str]]) -> None:
                discord.asked.append(path)
                bearer = self.headers.get("Authorization", "")
                status, said = discord._answer(path, form, bearer)
                body = json.dumps(said).encode()
                if path in discord._answers:
                    status, body = discord._answers[path]
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        return Handler


REFUSED = {"error": "access_denied", "error_description": "The owner said no"}
