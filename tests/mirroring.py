"""A clock, a channel and lines, for the tests of the mirror."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import discord

from bot.discord.text.lines import Line
from bot.discord.text.mirror import CLOSE_S, Mirror


def a_line(seq: int, text: str = "", *, name: str = "Ann", at_ms: int = 0) -> Line:
    start_ms = at_ms or seq * 1000
    return Line(seq, f"p-{name}", name, text or f"no {seq}", start_ms, start_ms + 500)


def refusal(status: int, code: int = 0) -> Exception:
    """What discord.py raises for such an answer."""
    kinds = {403: discord.Forbidden, 404: discord.NotFound}
    kind = kinds.get(status, discord.HTTPException)
    response: Any = SimpleNamespace(status=status, reason="Refused")
    return kind(response, {"code": code, "message": "Refused"})


class Time:
    """Time that passes when told to; whoever sleeps is woken when it is their time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now + seconds, woken))
        await woken

    async def passes(self, seconds: float) -> None:
        end = self.now + seconds
        await settled()
        while due := min((at for at, _ in self._waiting() if at <= end), default=0.0):
            self.now = max(due, self.now)
            for _, sleeper in [one for one in self._waiting() if one[0] <= self.now]:
                sleeper.set_result(None)
            await settled()
        self.now = end

    def _waiting(self) -> list[tuple[float, asyncio.Future[None]]]:
        self._sleepers = [one for one in self._sleepers if not one[1].done()]
        return self._sleepers


async def settled() -> None:
    """Until all that can go on without time has done so."""
    for _ in range(30):
        await asyncio.sleep(0)


class Message:
    def __init__(self, channel: Channel, id_: int, content: str) -> None:
        self.channel, self.id, self.content = channel, id_, content

    async def edit(self, *, content: str, **how: Any) -> None:
        await self.channel.asked_to("edit", content, how)
        self.content = content


class Channel:
    """A channel that notes what is asked of it, and fails as it is told to."""

    def __init__(self, time: Time) -> None:
        self.last_message_id: int | None = None
        self.messages: list[Message] = []
        self.times: list[float] = []
        self.verbs: list[str] = []
        self.contents: list[str] = []
        self.hows: list[dict[str, Any]] = []
        self.failures: list[Exception] = []
        self.is_deaf = False
        """It takes requests and never answers."""
        self._time = time
        self._ids = itertools.count(100)

    async def send(self, content: str, **how: Any) -> Message:
        await self.asked_to("send", content, how)
        message = Message(self, next(self._ids), content)
        self.messages.append(message)
        self.last_message_id = message.id
        return message

    async def asked_to(self, verb: str, content: str, how: dict[str, Any]) -> None:
        self.times.append(self._time.now)
        self.verbs.append(verb)
        self.contents.append(content)
        self.hows.append(how)
        await asyncio.sleep(0)
        if self.is_deaf:
            await asyncio.get_running_loop().create_future()
        if self.failures:
            raise self.failures.pop(0)

    def fails(self, *failures: Exception) -> None:
        self.failures += failures

    def somebody_writes(self) -> None:
        self.last_message_id = next(self._ids)

    @property
    def shown(self) -> list[str]:
        return [message.content for message in self.messages]

    @property
    def lines(self) -> list[str]:
        return "\n".join(self.shown).split("\n") if self.messages else []


@asynccontextmanager
async def mirrored(channel: Any, time: Time, **how: Any) -> AsyncIterator[Mirror]:
    async with Mirror(channel, clock=time, sleep=time.sleep, **how) as mirror:
        yield mirror


async def closed(mirror: Mirror, time: Time) -> None:
    """Its end, as long as that may last."""
    closing = asyncio.create_task(mirror.close())
    await time.passes(CLOSE_S)
    await asyncio.wait_for(closing, 5)
