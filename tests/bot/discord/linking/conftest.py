"""A login and its log for tests of links, of which nothing may be left behind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, MutableMapping
from typing import Any

import discord
import pytest
from fakecord.bot import EagerShards, logged_in, until
from fakecord.server import FakeDiscord
from linked import forget_older_threads, left_over
from structlog.testing import capture_logs

from bot.discord.linking import voicestate

Logs = list[MutableMapping[str, Any]]


@pytest.fixture
async def client(server: FakeDiscord) -> AsyncIterator[discord.Client]:
    """Sharded, as ours is. Nothing of any link may be left at the end of a test."""
    forget_older_threads()
    async with logged_in(server, EagerShards) as client:
        yield client
        await until(lambda: not left_over(client))


@pytest.fixture
def logs() -> Iterator[Logs]:
    with capture_logs() as logs:
        yield logs


@pytest.fixture
def _soon_without_news(monkeypatch: pytest.MonkeyPatch) -> None:
    """A 4014 is taken for what it may be after half a second, not after three."""
    monkeypatch.setattr(voicestate, "NEWS_WITHIN_S", 0.5)
