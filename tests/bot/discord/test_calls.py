"""Calls on the test Discord, from the command to the last thing undone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from discord_bot import in_db, in_state, running
from fakecord.bot import until
from fakecord.entities import Channel, Guild
from fakecord.people import Person
from fakecord.server import FakeDiscord
from pytest_django.fixtures import Settings

from bot.discord import notices
from bot.discord.notices import Notice
from bot.models import DiscordCall
from sessions import finish
from sessions.models import SessionEvent, State, VoiceRequest

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


async def test_what_is_not_kept_is_called_so(
    server: FakeDiscord, text: Channel, voice: Channel, ann: Person
) -> None:
    async with running(server):
        ann.joins(voice)
        asked = await ann.types(text, "record start", keep=False)
        unrecorded, channel = Notice.RECORD_STARTED_UNRECORDED, f"<#{voice.id}>"
        told = notices.text(unrecorded, "en", channel=channel)
        await until(lambda: asked.answer and asked.answer.content == told)


async def test_a_deafened_bot_says_that_it_hears_nothing(
    server: FakeDiscord, guild: Guild, text: Channel, voice: Channel, ann: Person
) -> None:
    told = notices.text(Notice.PANEL_DEAFENED, "en")
    async with running(server):
        ann.joins(voice)
        await ann.types(text, "record start")
        session = await in_state(State.ACTIVE)
        me = server.world.me(guild.id)
        server.world.deafen(me, deaf=True)
        posted = server.world.mail.posted
        await until(lambda: [m for m in posted(text.id) if m.content == told])
        known = SessionEvent.objects.filter(session=session, type="notice")
        async with asyncio.timeout(5):
            while not await in_db(known.filter(data__message=told).exists)():  # noqa: ASYNC110
                await asyncio.sleep(0.02)


async def test_who_is_deafened_when_it_begins_says_so(
    server: FakeDiscord, guild: Guild, text: Channel, voice: Channel, ann: Person
) -> None:
    told = notices.text(Notice.PANEL_DEAFENED, "en")
    async with running(server):
        ann.joins(voice)
        asked = await ann.types(text, "voice")
        await asked.shown()
        session = await in_state(State.WAITING)
        server.world.deafen(server.world.me(guild.id), deaf=True)
        room = server.world.channel(int(session.channel_id))
        assert room
        ann.joins(room)
        posted = server.world.mail.posted
        await until(lambda: [m for m in posted(text.id) if m.content == told])


async def test_who_waits_may_leave_the_queue(
    server: FakeDiscord, guild: Guild, text: Channel, voice: Channel, ann: Person
) -> None:
    bob = server.person(guild, "Bob")
    async with running(server) as bot:
        ann.joins(voice)
        await ann.types(text, "record start")
        await in_state(State.ACTIVE)
        asked = await bob.types(text, "voice")
        await until(lambda: asked.answer and "**1**" in asked.answer.content)
        left = await bob.types(text, "leave")
        told = notices.text(Notice.ROOM_LEFT_QUEUE, "en")
        await until(lambda: left.answer and left.answer.content == told)
        await until(lambda: asked.answer and asked.answer.content == told)
        request = await in_db(VoiceRequest.objects.get)(user_name="Bob")
        assert request.state == "dropped"
        assert bot.operator.call_in(guild.id)
