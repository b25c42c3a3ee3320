"""A test Discord with one guild, for every test of this folder that asks for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fakecord.entities import Channel, Guild
from fakecord.people import Person
from fakecord.server import FakeDiscord
from pytest_django.fixtures import Settings

from bot.discord.commands.archive import Archive
from bot.discord.commands.calls import Calls
from bot.discord.commands.managing import Managing
from bot.discord.commands.people import People
from sessions import finish, lifecycle
from sessions.models import State


@pytest.fixture(autouse=True)
def _nobody_has_asked() -> None:
    """Cooldowns belong to the class, and members have the same ids in every test."""
    for cog in (Archive, Calls, Managing, People):
        for command in cog.__cog_commands__:
            command._buckets._cache.clear()


@pytest.fixture
def done_at_once(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process whose files are its own, which says nothing aloud, and behind which the
    worker does its part at once."""
    settings.LOGS_DIR = tmp_path / "logs"
    settings.SPOOL_DIR = tmp_path / "spool"
    settings.TTS = "none"
    monkeypatch.setattr(finish, "ring", lambda pk: lifecycle.advance(pk, State.READY))


@pytest.fixture
async def server() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord() as server:
        yield server


@pytest.fixture
def guild(server: FakeDiscord) -> Guild:
    return server.world.add_guild("Guild")


@pytest.fixture
def text(server: FakeDiscord, guild: Guild) -> Channel:
    return server.world.add_text(guild)


@pytest.fixture
def voice(server: FakeDiscord, guild: Guild) -> Channel:
    return server.world.add_voice(guild)


@pytest.fixture
def ann(server: FakeDiscord, guild: Guild) -> Person:
    return server.person(guild, "Ann")
