"""Work that goes on to its end, whoever is cancelled and whatever is away."""

from __future__ import annotations

import asyncio

import pytest
from django.db import OperationalError

from bot.discord import unbroken as module
from bot.discord.unbroken import insist, unbroken


class Request:
    """Something that was sent, and is answered when the test says so."""

    def __init__(self) -> None:
        self.answered = asyncio.Event()
        self.is_done = False

    async def send(self, *, error: Exception | None = None) -> str:
        await self.answered.wait()
        self.is_done = True
        if error is not None:
            raise error
        return "made"


class Database:
    """Away for so many questions."""

    def __init__(self, away: int, error: Exception) -> None:
        self.away, self.error = away, error
        self.asked = 0

    async def ask(self) -> str:
        self.asked += 1
        if self.asked <= self.away:
            raise self.error
        return "answer"


async def test_it_returns_what_the_work_returns() -> None:
    request = Request()
    request.answered.set()
    assert await unbroken(request.send()) == "made"


async def test_it_raises_what_the_work_raises() -> None:
    request = Request()
    request.answered.set()
    with pytest.raises(ValueError, match="no"):
        await unbroken(request.send(error=ValueError("no")))


@pytest.mark.parametrize("error", [None, ValueError("no")])
async def test_who_is_cancelled_is_so_behind_the_work(error: Exception | None) -> None:
    request = Request()
    waiting = asyncio.create_task(unbroken(request.send(error=error)))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)
    assert not waiting.done()
    request.answered.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert request.is_done


async def test_it_asks_again_while_the_database_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.0)
    database = Database(3, OperationalError("away"))
    assert await insist(database.ask) == "answer"
    assert database.asked == 4


async def test_it_does_not_insist_on_what_is_broken() -> None:
    database = Database(1, ValueError("a fault of ours"))
    with pytest.raises(ValueError, match="fault"):
        await insist(database.ask)
    assert database.asked == 1
