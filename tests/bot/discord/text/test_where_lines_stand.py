"""Where the lines of a call are shown: never for others, nor for longer, than meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from discord_bot import in_db, in_state, running
from fakecord.bot import until
from fakecord.entities import Channel, Guild
from fakecord.people import Person
from fakecord.server import FakeDiscord
from pytest_django.fixtures import Settings
from scene import a_session

from bot.discord.panel import Panel
from bot.models import DiscordCall
from sessions import events, finish
from sessions.models import State, VoiceSession

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "a secret"


@pytest.fixture(autouse=True)
def _alone(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.LOGS_DIR = tmp_path / "logs"
    settings.TTS = "none"
    monkeypatch.setattr(finish, "ring", lambda _: None)


async def is_told(session: VoiceSession) -> None:
    """The log of a session gets a line."""
    said = {"participant": "1", "name": "Ann", "text": SECRET}
    await in_db(events.append)(
        session.pk, "utterance", said | {"start_ms": 0, "end_ms": 900}
    )


def shows(server: FakeDiscord, channel: Channel) -> bool:
    return any(SECRET in m.content for m in server.world.mail.posted(channel.id))


def lines_of(settings: Settings, session: VoiceSession) -> Path:
    return Path(settings.LOGS_DIR) / "lines" / f"{session.public_id}.jsonl"


async def test_the_lines_of_a_recorded_call_stand_where_it_was_asked_for(
    server: FakeDiscord, guild: Guild, text: Channel, voice: Channel, ann: Person
) -> None:
    async with running(server):
        ann.joins(voice)
        await ann.types(text, "record start")
        await is_told(await in_state(State.ACTIVE))
        await until(lambda: shows(server, text))


async def test_the_lines_of_an_unrecorded_call_stand_nowhere(
    server: FakeDiscord,
    guild: Guild,
    text: Channel,
    voice: Channel,
    ann: Person,
    settings: Settings,
) -> None:
    async with running(server):
        ann.joins(voice)
        await ann.types(text, "record start", keep=False)
        session = await in_state(State.ACTIVE)
        file = lines_of(settings, session)
        await until(file.exists)
        await is_told(session)
        await until(lambda: SECRET in file.read_text())
    # Shut down: whatever was to be posted has been.
    assert not shows(server, text)
    assert not shows(server, voice)
    assert not file.exists()


def links(server: FakeDiscord, channel: Channel) -> int:
    """How many messages there hold what opens a session."""
    return sum("token=" in str(m.body) for m in server.world.mail.posted(channel.id))


async def test_the_link_of_a_call_is_told_where_it_was_asked_for(
    server: FakeDiscord, guild: Guild, text: Channel, voice: Channel, ann: Person
) -> None:
    async with running(server):
        ann.joins(voice)
        await ann.types(text, "record start")
        await in_state(State.ACTIVE)
        ann.leaves()
        await in_state(State.FINISHING)
        await until(lambda: links(server, text) == 1)


async def test_the_link_of_a_private_room_is_told_to_nobody_else(
    server: FakeDiscord, guild: Guild, text: Channel, ann: Person
) -> None:
    async with running(server):
        await ann.types(text, "voice")
        room = server.world.channel(int((await in_state(State.WAITING)).channel_id))
        assert room
        ann.joins(room)
        await in_state(State.ACTIVE)
        asked = await ann.types(text, "leave")
        await asked.shown()
        await in_state(State.FINISHING)
    assert links(server, text) == 0


async def test_nor_is_it_by_the_panel_of_a_process_that_died(
    server: FakeDiscord, guild: Guild, text: Channel
) -> None:
    session = await in_db(a_session)(
        State.READY, guild_id=str(guild.id), user_id="5", title="Voice-Ann"
    )
    call = DiscordCall(session=session, text_channel_id=str(text.id))
    call.panel_id = str(server.world.mail.post(text.id, server.world.bot, {}).id)
    async with running(server) as bot:
        await Panel(bot, session, call).close("recovered")
    (panel,) = server.world.mail.posted(text.id)
    assert panel.body["embeds"]
    assert links(server, text) == 0


async def test_the_lines_of_a_private_room_stand_in_it_alone(
    server: FakeDiscord, guild: Guild, text: Channel, ann: Person
) -> None:
    async with running(server):
        asked = await ann.types(text, "voice")
        await asked.shown()
        room = server.world.channel(int((await in_state(State.WAITING)).channel_id))
        assert room
        ann.joins(room)
        await is_told(await in_state(State.ACTIVE))
        await until(lambda: shows(server, room))
        assert not shows(server, text)
