"""A session that is over, acted: the real page and scripts, and an API with verbs.

Sound is made of tones, a file for each voice and one for everybody. What the page
changes is kept in memory and answered as the real API does.
"""

from __future__ import annotations

import contextlib
import io
import json
import uuid
import wave
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import web
from django.contrib.staticfiles import finders
from django.template.loader import render_to_string

from sessions import finished
from sessions.csp import policy
from sessions.finished import FinishedConfig, Piece, Voice
from sessions.models import State, VoiceSession

STATIC = Path(__file__).resolve().parents[2] / "sessions" / "static" / "parley"
RATE = 8_000
BEGAN = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)


class FakeFinished:
    """One finished session on a port of its own; change it before a page is opened."""

    def __init__(self, *, seconds: int = 60) -> None:
        self.id = str(uuid.uuid4())
        self.seconds = seconds
        self.title = "Monday planning"
        self.sound = "there"
        self.may_edit = True
        self.read_only = False
        self.has_master = True
        self.people: dict[str, str] = {}
        self.lines: list[dict[str, Any]] = []
        self.tones: list[dict[str, Any]] = []
        self.bookmarks: list[dict[str, Any]] = []
        self.shares: list[dict[str, Any]] = []
        self.history: dict[str, list[dict[str, Any]]] = {}
        self.asked: list[tuple[str, str]] = []
        self.refusal = ""

    # --- verbs --------------------------------------------------------------------

    def join(self, name: str) -> str:
        person = str(uuid.uuid4())
        self.people[person] = name
        return person

    def say(self, person: str, text: str, *, at_s: float, line: str = "") -> str:
        """A line whose words take 300 ms each."""
        start = round(at_s * 1000)
        words = [
            {
                "word": word,
                "start_ms": start + 300 * n,
                "end_ms": start + 300 * (n + 1),
                "probability": 0.9,
            }
            for n, word in enumerate(text.split())
        ]
        said = {
            "id": line or str(uuid.uuid4()),
            "participant": person,
            "name": self.people[person],
            "start_ms": start,
            "end_ms": start + 300 * len(words),
            "text": text,
            "original": None,
            "words": words,
        }
        self.lines.append(said)
        return str(said["id"])

    def sounds(self, line: int, label: str) -> None:
        """A line sounded so."""
        said = self.lines[line]["id"]
        self.tones.append({"id": said, "label": label, "mock": False})

    def note(self, text: str, *, at_s: float) -> None:
        self.bookmarks.append(self._bookmark(round(at_s * 1000), text))

    def refuse(self, message: str) -> None:
        """From now on no change is taken."""
        self.refusal = message

    def _bookmark(self, at_ms: int, text: str) -> dict[str, Any]:
        number = len(self.asked) + len(self.bookmarks) + 1
        return {
            "id": number,
            "at_ms": at_ms,
            "text": text,
            "by": "ada",
            "created_at": BEGAN.isoformat(),
        }

    # --- the acting ---------------------------------------------------------------

    async def start(self) -> None:
        app = web.Application(middlewares=[self._listened])
        api = f"/api/sessions/{self.id}"
        wavesurfer = finders.find("wavesurfer/wavesurfer.esm.js")
        assert wavesurfer, "the front-end packages are not there"
        app.add_routes(
            [
                web.static("/static/parley", STATIC),
                web.static("/static/wavesurfer", Path(wavesurfer).parent),
                web.get(f"/session/{self.id}", self._page),
                web.get("/sound/{whose}", self._sound),
                web.get(f"{api}/waveforms", self._waveforms),
                web.get(f"{api}/transcript.jsonl", self._transcript),
                web.get(f"{api}/tones", self._tones),
                web.get(f"{api}/bookmarks", self._bookmarks),
                web.post(f"{api}/bookmarks", self._add_bookmark),
                web.patch(f"{api}/bookmarks/{{id}}", self._change_bookmark),
                web.delete(f"{api}/bookmarks/{{id}}", self._drop_bookmark),
                web.patch(f"{api}/utterances/{{id}}", self._correct),
                web.get(f"{api}/utterances/{{id}}/history", self._history),
                web.patch(f"{api}/participants/{{id}}", self._rename),
                web.post(f"{api}/participants/{{id}}/merge", self._merge),
                web.get(f"{api}/shares", self._shares),
                web.post(f"{api}/shares", self._share),
                web.delete(f"{api}/shares/{{id}}", self._revoke),
            ]
        )
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.host = f"127.0.0.1:{self._runner.addresses[0][1]}"
        self.page = f"http://{self.host}/session/{self.id}"

    async def close(self) -> None:
        await self._runner.cleanup()

    @web.middleware
    async def _listened(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.method not in {"GET", "HEAD"}:
            self.asked.append((request.method, request.path.split(self.id)[-1]))
            if request.headers.get("X-CSRFToken") != "csrf":
                return web.json_response({"code": "csrf", "message": "No."}, status=403)
            if self.refusal:
                told = {"code": "refused", "message": self.refusal}
                return web.json_response(told, status=409)
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _page(self, request: web.Request) -> web.Response:
        session = VoiceSession(
            public_id=self.id,
            title=self.title,
            state=State.READY,
            started_at=BEGAN,
            ended_at=BEGAN + timedelta(seconds=self.seconds),
        )
        config = self._config()
        html = render_to_string("finished.html", finished.context_of(session, config))
        headers = {
            "Content-Security-Policy": policy(self.host, style_nonce=config.nonce)
        }
        return web.Response(text=html, content_type="text/html", headers=headers)

    def _config(self) -> FinishedConfig:
        length = self.seconds * 1000
        has_sound = self.sound == "there"
        return FinishedConfig(
            id=self.id,
            state="ready",
            started_at=BEGAN.isoformat(),
            duration_ms=length,
            sound=self.sound,
            token="",
            csrf="csrf",
            page_url=self.page,
            api_url=f"/api/sessions/{self.id}",
            may_edit=self.may_edit and not self.read_only,
            may_share=self.may_edit and not self.read_only,
            read_only=self.read_only,
            nonce="a-nonce",
            voices=[Voice(person, name) for person, name in self.people.items()],
            pieces=[
                Piece(f"/sound/{person}", 0, length, person)
                for person in (self.people if has_sound else ())
            ],
            master=Piece("/sound/master", 0, length)
            if has_sound and self.has_master
            else None,
        )

    async def _sound(self, request: web.Request) -> web.StreamResponse:
        """A tone, as a file that may be asked for in parts; made as it is sent."""
        whose = request.match_info["whose"]
        pitch = 220 + 110 * ([*self.people, "master"].index(whose) % 5)
        t = np.arange(RATE) / RATE
        second = (3000 * np.sin(2 * np.pi * pitch * t)).astype("<i2").tobytes()
        head = _wav_head(self.seconds)
        size = len(head) + self.seconds * len(second)
        part = request.http_range
        start, stop = part.start or 0, min(part.stop or size, size)
        headers = {"Accept-Ranges": "bytes", "Content-Length": str(stop - start)}
        if is_part := "Range" in request.headers:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        answer = web.StreamResponse(status=206 if is_part else 200, headers=headers)
        answer.content_type = "audio/wav"
        await answer.prepare(request)
        with contextlib.suppress(ConnectionError):  # a browser takes what it needs
            await answer.write(head[start:stop])
            for at in range(max(start, len(head)), stop, len(second)):
                turned = (at - len(head)) % len(second)
                block = second[turned:] + second[:turned]
                await answer.write(block[: stop - at])
        return answer

    async def _waveforms(self, request: web.Request) -> web.Response:
        count = int(request.query["points"])
        rng = np.random.default_rng(3)
        lanes = []
        for person in self.people:
            points = np.full(count, 2)
            for line in self.lines:
                if line["participant"] == person:
                    first, last = (
                        int(line[edge] / 1000 / self.seconds * count)
                        for edge in ("start_ms", "end_ms")
                    )
                    loud = rng.integers(14, 110, len(points[first : last + 1]))
                    points[first : last + 1] = loud
            lanes.append({"participant": person, "points": points.tolist()})
        return web.json_response({"duration_ms": self.seconds * 1000, "lanes": lanes})

    async def _transcript(self, request: web.Request) -> web.Response:
        text = "".join(json.dumps(line) + "\n" for line in self.lines)
        return web.Response(text=text, content_type="application/x-ndjson")

    async def _tones(self, request: web.Request) -> web.Response:
        return web.json_response({"lines": self.tones})

    async def _correct(self, request: web.Request) -> web.Response:
        line = next(x for x in self.lines if x["id"] == request.match_info["id"])
        text = (await request.json())["text"]
        line["original"] = line["original"] or line["text"]
        line["text"] = text
        at = BEGAN.isoformat()
        known = self.history.setdefault(
            line["id"], [{"text": line["original"], "by": None, "at": at}]
        )
        known.append({"text": text, "by": "ada", "at": at})
        told = {
            "id": line["id"],
            "text": text,
            "original": line["original"],
            "corrected_by": "ada",
            "corrected_at": at,
        }
        return web.json_response(told)

    async def _history(self, request: web.Request) -> web.Response:
        return web.json_response(self.history.get(request.match_info["id"], []))

    async def _rename(self, request: web.Request) -> web.Response:
        person, name = request.match_info["id"], (await request.json())["name"]
        self.people[person] = name
        return web.json_response({"id": person, "name": name})

    async def _merge(self, request: web.Request) -> web.Response:
        into = (await request.json())["into"]
        del self.people[request.match_info["id"]]
        return web.json_response({"id": into, "name": self.people[into]})

    async def _bookmarks(self, request: web.Request) -> web.Response:
        return web.json_response(self.bookmarks)

    async def _add_bookmark(self, request: web.Request) -> web.Response:
        body = await request.json()
        made = self._bookmark(body["at_ms"], body["text"])
        self.bookmarks.append(made)
        return web.json_response(made, status=201)

    async def _change_bookmark(self, request: web.Request) -> web.Response:
        number = int(request.match_info["id"])
        note = next(x for x in self.bookmarks if x["id"] == number)
        note |= await request.json()
        return web.json_response(note)

    async def _drop_bookmark(self, request: web.Request) -> web.Response:
        number = int(request.match_info["id"])
        self.bookmarks = [x for x in self.bookmarks if x["id"] != number]
        return web.Response(status=204)

    async def _shares(self, request: web.Request) -> web.Response:
        return web.json_response(self.shares)

    async def _share(self, request: web.Request) -> web.Response:
        days = (await request.json())["days"]
        made = {
            "id": len(self.shares) + 1,
            "url": f"/shared/link-{len(self.shares) + 1}",
            "expires_at": (BEGAN + timedelta(days=days)).isoformat(),
            "created_at": BEGAN.isoformat(),
        }
        self.shares.append(made)
        return web.json_response(made, status=201)

    async def _revoke(self, request: web.Request) -> web.Response:
        number = int(request.match_info["id"])
        self.shares = [x for x in self.shares if x["id"] != number]
        return web.Response(status=204)


def _wav_head(seconds: int) -> bytes:
    """Of 16-bit mono at RATE, so long."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.setnframes(seconds * RATE)
        file.writeframesraw(b"")
        return out.getvalue()
