"""A test Discord with one guild, for every test of this folder that asks for it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from fakecord.entities import Channel, Guild
from fakecord.people import Person
from fakecord.server import FakeDiscord


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
