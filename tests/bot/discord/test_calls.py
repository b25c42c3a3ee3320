"""Calls on the test Discord, from the command to the last thing undone."""

from __future__ import annotations

from pathlib import Path

import pytest
from discord_bot import in_db, in_state, running
from fakecord.bot import until
from fakecord.entities import Channel, Guild
from fakecord.people import Person
from fakecord.server import FakeDiscord
from pytest_django.fixtures import Settings

from bot.models import DiscordCall
from sessions import finish
from sessions.models import State, VoiceRequest

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _alone(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.LOGS_DIR = tmp_path / "logs"
    settings.TTS = "none"
    monkeypatch.setattr(finish, "ring", lambda _: None)


async def test_a_call_is_recorded_until_it_is_stopped(
    server: FakeDiscord, guild: Guild, text: Channel, voice: Channel, ann: Person
) -> None:
    async with running(server) as bot:
        ann.joins(voice)
        asked = await ann.types(text, "record start")
        await asked.shown()
        session = await in_state(State.ACTIVE)
        call = bot.operator.call_in(guild.id)
        assert call
        assert session.channel_id == str(voice.id)
        assert (server.world.me(guild.id).nick or "").startswith("![RECORDING]")
        asked = await ann.types(text, "record stop")
        await asked.shown()
        session = await in_state(State.FINISHING)
        assert session.end_reason == "stopped"
        assert server.world.me(guild.id).nick is None
        assert server.world.me(guild.id).voice is None
        deed = await in_db(DiscordCall.objects.get)()
        assert deed.undone_at
        request = await in_db(VoiceRequest.objects.get)()
        assert request.state == "done"


async def test_a_room_is_made_for_a_member_and_goes_with_them(
    server: FakeDiscord, guild: Guild, text: Channel, ann: Person
) -> None:
    async with running(server) as bot:
        asked = await ann.types(text, "voice")
        message = await asked.shown()
        session = await in_state(State.WAITING)
        room = server.world.channel(int(session.channel_id))
        assert room
        assert room.name == "Voice-Ann"
        assert str(room.id) in message.content
        ann.joins(room)
        await in_state(State.ACTIVE)
        ann.leaves()
        await in_state(State.FINISHING)
        assert server.world.channel(room.id) is None
        await until(lambda: not bot.operator.calls)
