"""People for tests: speakers who talk into a session in real time, viewers who read.

They use the real interfaces and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

RATE = 16_000
FRAME_S = 0.02
STEP_BYTES = 640  # of one frame


@dataclass(slots=True)
class Sent:
    """What a speaker did: when its last sample went out, and what was acknowledged."""

    began_at: float = 0.0
    last_at: float = 0.0
    acknowledged: int = 0


async def talk(
    session: dict[str, Any],
    pcm: NDArray[np.int16],
    *,
    name: str = "Alice",
    rate: int = RATE,
    pace: float = 1.0,
    stop: bool = True,
) -> Sent:
    """Say `pcm` into the session, `pace` times as fast as time; 0 is all at once."""
    sent = Sent()
    data = pcm.astype("<i2").tobytes()
    step = int(FRAME_S * rate) * 2
    url = f"{session['audio_url']}&name={name}&rate={rate}&consent=true"
    async with connect(url, max_queue=None) as socket:
        sent.began_at = time.time()
        pieces = range(0, len(data), step)
        for number, at in enumerate(pieces, start=1):
            await socket.send(data[at : at + step])
            sent.last_at = time.time()
            if pace:
                due = sent.began_at + number * FRAME_S / pace
                await asyncio.sleep(max(due - time.time(), 0))
        for _ in pieces:
            answer = json.loads(await asyncio.wait_for(socket.recv(), 30))
            assert answer["ok"] is True, answer
            sent.acknowledged += answer["bytes"]
        assert sent.acknowledged == len(data)
        if stop:
            await socket.send('{"type": "stop"}')
            await socket.wait_closed()
    return sent


class Microphone:
    """A browser's microphone in small: keeps all it captured, and goes on where the
    server says it is."""

    def __init__(self, url: str, pcm: NDArray[np.int16]) -> None:
        self._url = f"{url}&name=Alice&stream={uuid.uuid4()}&consent=true"
        self._data = pcm.astype("<i2").tobytes()
        self._at = 0
        self.resumed_at: list[int] = []

    async def speak(self) -> None:
        """Say everything, in real time, over as many connections as it takes."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while self._at < len(self._data):
            try:
                async with connect(self._url) as socket:
                    await self._send_on(socket, began)
            except (ConnectionClosed, OSError, TimeoutError):
                await asyncio.sleep(0.2)

    async def _send_on(self, socket: ClientConnection, began: float) -> None:
        ready = json.loads(await asyncio.wait_for(socket.recv(), 10))
        self._at = ready["bytes"]
        self.resumed_at.append(self._at)
        loop = asyncio.get_running_loop()
        while self._at < len(self._data):
            captured = int((loop.time() - began) * 32_000)
            if self._at + STEP_BYTES > captured:
                await asyncio.sleep(0.02)
                continue
            await socket.send(self._data[self._at : self._at + STEP_BYTES])
            answer = json.loads(await asyncio.wait_for(socket.recv(), 10))
            assert answer["ok"] is True
            self._at += STEP_BYTES
        await socket.send('{"type": "stop"}')
        await socket.wait_closed()


@dataclass(slots=True)
class Viewer:
    """Somebody who reads along by server-sent events; keeps what came, and when."""

    url: str
    events: list[dict[str, Any]] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    partials: list[dict[str, Any]] = field(default_factory=list)

    @property
    def last_seq(self) -> int:
        return self.events[-1]["seq"] if self.events else 0

    def of_type(self, type_: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == type_]

    @property
    def lines(self) -> list[dict[str, Any]]:
        return self.of_type("utterance")

    async def read(self) -> None:
        """Follow the feed from where it stands, until cancelled."""
        timeout = aiohttp.ClientTimeout(total=None, sock_read=60)
        headers = {"Last-Event-ID": str(self.last_seq)}
        async with (
            aiohttp.ClientSession(timeout=timeout) as client,
            client.get(self.url, headers=headers) as answer,
        ):
            assert answer.status == 200, await answer.text()
            async for raw in answer.content:
                if raw.startswith(b"data: "):
                    self._take(json.loads(raw[6:]))

    def _take(self, event: dict[str, Any]) -> None:
        if "seq" in event:
            self.events.append(event)
            self.arrivals.append(time.time())
        else:
            self.partials.append(event)

    async def until(
        self, condition: Callable[[Viewer], bool], *, within_s: float
    ) -> None:
        """Wait until the condition holds; fails when it takes too long."""
        until = time.monotonic() + within_s
        while not condition(self):
            assert time.monotonic() < until, f"{len(self.events)} events: {self.events}"
            await asyncio.sleep(0.01)


@asynccontextmanager
async def reading(session: dict[str, Any]) -> AsyncIterator[Viewer]:
    """A viewer who reads along for as long as the block lasts."""
    viewer = Viewer(session["events_url"])
    task = asyncio.create_task(viewer.read())
    try:
        yield viewer
    finally:
        task.cancel()
        await asyncio.wait([task])


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", text.lower())


def word_errors(said: Sequence[str], heard: Sequence[str]) -> int:
    """Substitutions, insertions and deletions (Levenshtein) from `said` to `heard`."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, start=1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(heard, start=1):
            best = min(diagonal + (word != other), row[j] + 1, row[j - 1] + 1)
            diagonal, row[j] = row[j], best
    return row[-1]
