"""Who talks in a run, over the three roads, whatever happens to them. Each keeps when
each 20 ms of their sound was captured: that is the truth."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
import uuid
from dataclasses import dataclass, field
from urllib.parse import quote

import numpy as np
from fakecord.people import Person
from fakecord.rtp import opus
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from bot.phone.caller import Caller
from chaos.script import FRAME_S, Script

AGAIN_S = 0.2
"""Until somebody whose line is gone tries again; a dialplan is no slower."""
ANSWER_S = 8.0
"""Whoever hears nothing for so long hangs up and calls again, as the page does."""
LATENCY_S = 0.02


@dataclass
class Track:
    """One person's sound. `captured`: by the monotonic clock, when each frame of 20 ms
    began; NaN for what nobody was there to send."""

    script: Script
    road: str
    """Which processes carry it: `web`, `phone` or `discord`."""
    captured: NDArray[np.float64] = field(init=False)
    lines: int = 0
    """How often they were connected."""

    def __post_init__(self) -> None:
        self.captured = np.full(self.script.frames, np.nan)


class Browser:
    """A page: keeps all it captured, and goes on where a server says it is. Each time
    at the next of the nodes."""

    def __init__(self, script: Script, addresses: list[str]) -> None:
        self.track = Track(script, "web")
        stream = f"&stream={uuid.uuid4()}&rate={script.rate}&consent=true"
        self._addresses = itertools.cycle(
            [f"{url}&name={quote(script.name)}{stream}" for url in addresses]
        )
        self._data = script.pcm.astype("<i2").tobytes()
        self._step = script.frame * 2
        self._sent = self._safe = 0

    async def talk(self, began: float) -> None:
        """All of it, in real time; comes back when a server has it all."""
        frames = np.arange(self.track.script.frames)
        self.track.captured[:] = began + frames * FRAME_S
        while self._safe < len(self._data):
            try:
                async with connect(next(self._addresses), open_timeout=5) as socket:
                    self.track.lines += 1
                    await self._talk_on(socket, began)
            except (ConnectionClosed, InvalidHandshake, OSError, TimeoutError):
                await asyncio.sleep(AGAIN_S)

    async def _talk_on(self, socket: ClientConnection, began: float) -> None:
        ready = json.loads(await asyncio.wait_for(socket.recv(), ANSWER_S))
        self._safe = self._sent = ready["bytes"]
        sending = asyncio.create_task(self._send(socket, began))
        try:
            while self._safe < len(self._data):
                answer = json.loads(await asyncio.wait_for(socket.recv(), ANSWER_S))
                assert answer["ok"], answer
                self._safe += answer["bytes"]
        finally:
            sending.cancel()
            await asyncio.wait([sending])
        await socket.send('{"type": "stop"}')
        with contextlib.suppress(ConnectionClosed):
            await asyncio.wait_for(socket.wait_closed(), ANSWER_S)

    async def _send(self, socket: ClientConnection, began: float) -> None:
        while self._sent < len(self._data):
            end = self._sent + self._step
            due = began + end / self._step * FRAME_S
            await asyncio.sleep(max(due - time.monotonic(), 0))
            await socket.send(self._data[self._sent : end])
            self._sent = end


class Telephone:
    """A call, dialled again at the other server when one is gone, as the sample
    dialplan does it. What nobody takes is lost, as it is on a telephone."""

    def __init__(self, script: Script, ports: list[int]) -> None:
        self.track = Track(script, "phone")
        self.call = uuid.uuid4()
        self._ports = itertools.cycle(ports)

    async def talk(self, began: float) -> None:
        """Until the script is over; then hang up."""
        frames = self.track.script.frames
        while (first := self._now(began)) < frames:
            caller = Caller("127.0.0.1", next(self._ports), call=self.call)
            try:
                async with asyncio.timeout(2):
                    await caller.connect()
            except (OSError, TimeoutError):
                await asyncio.sleep(AGAIN_S)
                continue
            self.track.lines += 1
            first = self._now(began)
            await asyncio.sleep(began + first * FRAME_S - time.monotonic())
            await self._say(caller, first)
            caller.hang_up()
        self._close_notes()

    async def _say(self, caller: Caller, first: int) -> None:
        saying = asyncio.create_task(self._say_from(caller, first))
        hearing = asyncio.create_task(_until_silent(caller))
        await asyncio.wait([saying, hearing], return_when=asyncio.FIRST_COMPLETED)
        for task in (saying, hearing):
            task.cancel()
        await asyncio.wait([saying, hearing])

    async def _say_from(self, caller: Caller, first: int) -> None:
        script = self.track.script
        pcm = script.pcm[first * script.frame :]
        self._note(first)
        await caller.say(pcm, script.rate)

    def _now(self, began: float) -> int:
        """The next frame that is captured whole."""
        return max(int(np.ceil((time.monotonic() - began) / FRAME_S)), 0)

    def _note(self, first: int) -> None:
        """From now on, and each in its time: where a busy machine begins late, all of
        it is said later."""
        self._close_notes()
        frames = np.arange(self.track.script.frames - first)
        self.track.captured[first:] = time.monotonic() + frames * FRAME_S

    def _close_notes(self) -> None:
        """What was to be said later and was not, because the line broke."""
        later = self.track.captured > time.monotonic()
        self.track.captured[later] = np.nan


async def _until_silent(caller: Caller) -> None:
    """Until the server, which sends from first to last, has sent nothing for long."""
    known, since = 0, time.monotonic()
    while not caller.end and time.monotonic() - since < ANSWER_S:
        await asyncio.sleep(0.1)
        if len(caller.heard) != known:
            known, since = len(caller.heard), time.monotonic()


class Member:
    """Somebody in a voice channel: their client sends while they speak, to whoever is
    there."""

    def __init__(self, script: Script, person: Person) -> None:
        self.track = Track(script, "discord")
        self.person = person
        self._packets = [opus(script.pcm[p.begin : p.end]) for p in script.phrases]

    async def talk(self, began: float) -> None:
        script = self.track.script
        for phrase, packets in zip(script.phrases, self._packets, strict=True):
            first = phrase.begin // script.frame
            due = began + first * FRAME_S
            await asyncio.sleep(max(due - time.monotonic() - LATENCY_S, 0))
            if self.person.voice is None:
                continue
            self.person.voice.announce()
            await asyncio.sleep(max(due - time.monotonic(), 0))
            frames = np.arange(len(packets))
            self.track.captured[first : first + len(packets)] = (
                time.monotonic() + frames * FRAME_S
            )
            await self.person.sends(packets, announce=None)
        await asyncio.sleep(max(began + script.frames * FRAME_S - time.monotonic(), 0))
