"""Who talks in the load of one process, by each of the three roads.

The process is the real one and has a core; who talks has the others. What is
sent is made ready before: sending costs the one that measures little, and how late it
was itself is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import Counter
from functools import partial
from typing import Any

import numpy as np
from fakecord.entities import TEXT
from fakecord.server import FakeDiscord
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector
from scene import eventually
from stack import free_port, listens, wait_for
from websockets.asyncio.client import ClientConnection, connect

from bench._crowd import Crowd
from bench._process import Process
from bench._telephones import speech
from bench.discord_load import arrive, begin, on_discord

FRAME_S = 0.02
SLOTS = 20
"""A frame's time is cut into so many: who talks is spread over them."""
TALK_SHARE = 0.4
TOGETHER = 10
"""Tracks of one session or channel."""
RATE = 8_000
"""Of what browsers and telephones send here."""


class Carrier(Process):
    """A process that carries tracks on a core of its own, and counts."""

    core = 0

    def __init__(self, name: str, **env: str) -> None:
        super().__init__(name, core=self.core, METRICS_TOKEN="bench", **env)

    def told(self) -> Counter[str]:
        """The numbers of `/metrics`, of all sources together."""
        found = MultiProcessCollector(
            CollectorRegistry(), path=str(self.folder / "metrics")
        )
        numbers: Counter[str] = Counter()
        for row in (row for one in found.collect() for row in one.samples):
            numbers[row.name] += row.value
        return numbers


class Road:
    """So many tracks of one kind of source, and what they send."""

    name = ""

    def __init__(self, tracks: int, seconds: float) -> None:
        self.tracks, self.seconds = tracks, seconds
        self.sent = 0
        """Frames of 20 ms."""
        self.late_s: list[float] = []
        """How much behind its time each was sent: who measures is late, too."""

    async def prepare(self) -> None:
        """What the process needs to find when it begins."""

    def process(self, **env: str) -> Carrier:
        raise NotImplementedError

    async def gather(self, process: Carrier) -> None:
        """Everybody comes in."""

    async def talk(self) -> None:
        """For `seconds`."""

    async def leave(self) -> None:
        """Everybody hangs up."""

    async def over(self) -> None:
        """The process is gone."""

    def due_s(self, key: str, ends_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """When each record of a track was to be sent, given where its sound ends."""
        return ends_s


class Sender:
    """Frames made ready, one after the other and again from the first."""

    def __init__(self, transport: Any, frames: list[bytes], first: int) -> None:
        self._transport, self._frames, self._at = transport, frames, first

    def send(self) -> None:
        self._transport.write(self._frames[self._at])
        self._at = (self._at + 1) % len(self._frames)


async def paced(senders: list[Sender], seconds: float) -> list[float]:
    """All of them in real time; how late each frame went out, in seconds."""
    loop, late_s = asyncio.get_running_loop(), []
    began = loop.time()
    for turn in range(round(seconds / FRAME_S) * SLOTS):
        early_s = began + turn * FRAME_S / SLOTS - loop.time()
        if early_s > 0:
            await asyncio.sleep(early_s)
        for sender in senders[turn % SLOTS :: SLOTS]:
            sender.send()
            late_s.append(loop.time() - began - turn * FRAME_S / SLOTS)
    return late_s


def a_minute() -> list[bytes]:
    """Of somebody's talk, in frames of 20 ms at `RATE`."""
    sound, step = speech(TALK_SHARE), int(RATE * FRAME_S) * 2
    return [sound[at : at + step] for at in range(0, len(sound) - step + 1, step)]


class Lines(Road):
    """Tracks that are a connection each, over which PCM goes."""

    async def talk(self) -> None:
        self.late_s = await paced(self._senders, self.seconds)
        self.sent = len(self.late_s)

    async def gather(self, process: Carrier) -> None:
        frames = [self.framed(one) for one in a_minute()]
        dice = np.random.default_rng(1)
        self._senders = []
        for number in range(self.tracks):
            transport = await self.connected(process, number)
            first = int(dice.integers(len(frames)))
            self._senders.append(Sender(transport, frames, first))

    def framed(self, payload: bytes) -> bytes:
        raise NotImplementedError

    async def connected(self, process: Carrier, number: int) -> Any:
        raise NotImplementedError


class Browsers(Lines):
    """Microphones, ten to a session."""

    name = "browser"

    async def prepare(self) -> None:
        self._lines: list[ClientConnection] = []
        self._readers: list[asyncio.Task[None]] = []

    def process(self, **env: str) -> Carrier:
        return Carrier("web", SESSIONS_PER_USER="1000", TRACKS_PER_SESSION="0", **env)

    async def gather(self, process: Carrier) -> None:
        await asyncio.to_thread(wait_for, "the web", process.health, within_s=60)
        await super().gather(process)

    def framed(self, payload: bytes) -> bytes:
        """A binary frame of RFC 6455, masked with zeros: made once, sent often."""
        return b"\x82\xfe" + len(payload).to_bytes(2, "big") + bytes(4) + payload

    async def connected(self, process: Carrier, number: int) -> Any:
        if number % TOGETHER == 0:
            self._session = await asyncio.to_thread(process.new_session)
        url = f"{self._session['audio_url']}&name=P{number}&rate={RATE}&consent=true"
        line = await connect(url, max_queue=None, open_timeout=20)
        self._lines.append(line)
        self._readers.append(asyncio.create_task(_read_all(line)))
        return line.transport

    async def leave(self) -> None:
        for line in self._lines:
            await line.send('{"type": "stop"}')
        await asyncio.gather(*self._readers)


async def _read_all(line: ClientConnection) -> None:
    async for _ in line:
        pass


class Telephones(Lines):
    """Calls to which nobody says a word."""

    name = "phone"

    async def prepare(self) -> None:
        self._port = free_port()
        self._writers: list[asyncio.StreamWriter] = []
        self._readers: list[asyncio.Task[None]] = []

    def process(self, **env: str) -> Carrier:
        return Carrier(
            "bot",
            AUDIOSOCKET_PORT=str(self._port),
            AUDIOSOCKET_MAX_CALLS="2000",
            **env,
        )

    async def gather(self, process: Carrier) -> None:
        there = partial(listens, self._port)
        await asyncio.to_thread(wait_for, "the phone", there, within_s=60)
        await super().gather(process)

    def framed(self, payload: bytes) -> bytes:
        return b"\x10" + len(payload).to_bytes(2, "big") + payload

    async def connected(self, process: Carrier, number: int) -> Any:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(b"\x01\x00\x10" + uuid.uuid4().bytes)
        self._writers.append(writer)
        self._readers.append(asyncio.create_task(_drained(reader)))
        await asyncio.sleep(0.05)  # a call costs more to begin than to hold
        return writer.transport

    async def leave(self) -> None:
        for writer in self._writers:
            writer.write(b"\x00\x00\x00")
            writer.close()
        await asyncio.gather(*self._readers)


async def _drained(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        while await reader.read(65536):
            pass


class Members(Road):
    """Members of Discord, ten to a server, sealed end to end ahead of time."""

    name = "discord"

    async def prepare(self) -> None:
        self._discord = FakeDiscord()
        await self._discord.__aenter__()
        guilds = max(self.tracks // TOGETHER, 1)
        self._calls = await arrive(self._discord, guilds, self.tracks)
        self._crowd = Crowd(seconds=self.seconds, share=TALK_SHARE)

    def process(self, **env: str) -> Carrier:
        return Carrier("bot", **on_discord(self._discord), **env)

    async def gather(self, process: Carrier) -> None:
        await eventually(lambda: "discord.ready" in process.log("bot"), within_s=60)
        await begin(self._discord, self._calls, self._crowd)

    async def talk(self) -> None:
        sent = await self._crowd.speak()
        self.sent, self.late_s = sent.packets, sent.late_s

    async def leave(self) -> None:
        for call in self._calls:
            text = call.channel(TEXT)
            await call.people[0].types(text, "record stop", within_s=60)

    async def over(self) -> None:
        await self._discord.__aexit__()

    def due_s(self, key: str, ends_s: NDArray[np.float64]) -> NDArray[np.float64]:
        for one in self._crowd.speakers:
            if key == f"discord:{one.person.id}" and len(one.due_s) == len(ends_s):
                return np.array(one.due_s)
        return ends_s[:0]


ROADS: dict[str, type[Road]] = {
    one.name: one for one in (Browsers, Telephones, Members)
}
