"""How Discord's part is: read from a bot that is in a call of the test Discord."""

from __future__ import annotations

from pathlib import Path

import pytest
from babble import RATE, babble
from discord_bot import in_state, running
from fakecord.bot import until
from fakecord.entities import Channel, Guild
from fakecord.people import Person
from fakecord.server import FakeDiscord
from opus_packets import encoded
from pytest_django.fixtures import Settings

from bot.discord.vitals import CallVitals, vitals_of
from sessions import finish
from sessions.models import State

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _alone(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.LOGS_DIR = tmp_path / "logs"
    settings.DATA_DIR = tmp_path
    settings.TTS = "none"
    monkeypatch.setattr(finish, "ring", lambda _: None)


async def test_a_bot_in_no_call_is_ready_and_knows_its_guilds(
    server: FakeDiscord, guild: Guild
) -> None:
    async with running(server) as bot:
        vitals = vitals_of(bot)
        assert vitals.is_ready
        assert (vitals.guilds, vitals.unavailable, vitals.calls) == (1, 0, ())
    assert not vitals_of(bot).is_ready


async def test_a_call_tells_what_it_receives(
    server: FakeDiscord, guild: Guild, text: Channel, voice: Channel, ann: Person
) -> None:
    async with running(server) as bot:
        ann.joins(voice)
        asked = await ann.types(text, "record start")
        await asked.shown()
        session = await in_state(State.ACTIVE)
        await ann.secured(with_whom=server.world.bot.id)
        await ann.sends(encoded(babble(RATE)))

        def call() -> CallVitals:
            (found,) = vitals_of(bot).calls
            return found

        await until(lambda: call().frames >= 20)
        told = call()
        assert told.session == str(session.public_id)
        assert told.guild == str(guild.id)
        assert told.people == 1
        assert told.received.packets >= told.frames
        assert told.reconnects == 0
        assert told.privacy_code
