"""What those who manage a server may do, and whoever asked for a session, with a whole
bot."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from discord_bot import in_db, in_state, running
from django.utils import timezone
from fakecord.bot import until
from fakecord.entities import Channel, Guild
from fakecord.interactions import Barred
from fakecord.mail import Message
from fakecord.moderators import Moderator
from fakecord.people import Person
from fakecord.server import FakeDiscord
from fakecord.session import CONTENT
from pytest_django.fixtures import Settings
from recorded import Recorded

from bot.discord.client import ParleyBot
from bot.discord.guild import deeds
from bot.models import DiscordCall
from sessions import finish, recordings, recovery
from sessions.models import State, VoiceSession

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.DATA_DIR = tmp_path
    settings.STORAGE_DIR = tmp_path / "storage"
    settings.LOGS_DIR = tmp_path / "logs"
    settings.TTS = "none"
    monkeypatch.setattr(recordings, "ring", lambda _: None)
    return tmp_path


@pytest.fixture(autouse=True)
def rung(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """For whom workers were called."""
    rings: list[tuple[str, int]] = []
    monkeypatch.setattr(finish, "ring", lambda pk: rings.append(("finish", pk)))
    monkeypatch.setattr(recovery, "ring_for", lambda pk: rings.append(("recover", pk)))
    return rings


@pytest.fixture
async def bot(server: FakeDiscord, guild: Guild) -> AsyncIterator[ParleyBot]:
    async with running(server) as bot:
        yield bot


@pytest.fixture
def mod(server: FakeDiscord, guild: Guild) -> Moderator:
    return server.moderator(guild, "Mod")


@pytest.fixture
def bob(server: FakeDiscord, guild: Guild) -> Person:
    return server.person(guild, "Bob")


async def told(who: Person, where: Channel, words: str, /, **options: Any) -> Message:
    """What they are shown, and nobody else is, when they type a command."""
    asked = await who.types(where, words, **options)
    message = await asked.shown()
    assert message.ephemeral
    return message


async def called_in(text: Channel, voice: Channel, who: Person) -> VoiceSession:
    """The bot is where they sit."""
    who.joins(voice)
    await (await who.types(text, "record start")).shown()
    return await in_state(State.ACTIVE)


# --- who may --------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["recover", "health"])
async def test_members_may_not(
    bot: ParleyBot, text: Channel, ann: Person, command: str
) -> None:
    shown = await told(ann, text, command)
    assert "Only those who manage this server" in shown.content


@pytest.mark.parametrize("command", ["recover", "health"])
async def test_members_are_not_even_shown_them(
    bot: ParleyBot, text: Channel, ann: Person, mod: Moderator, command: str
) -> None:
    await bot.tree.sync()
    with pytest.raises(Barred):
        await ann.types(text, command)
    assert await told(mod, text, command)


async def test_nor_with_a_prefix(
    server: FakeDiscord, guild: Guild, text: Channel, ann: Person, settings: Settings
) -> None:
    settings.COMMAND_PREFIX = "!"
    server.gateway.privileged = CONTENT
    async with running(server):
        ann.writes(text, "!health")
        posted = server.world.mail.posted
        await until(lambda: len(posted(text.id)) == 2)
        answer = posted(text.id)[-1]
        assert "Only those who manage this server" in answer.content
        assert not answer.pinged


# --- /recover -------------------------------------------------------------------------


async def test_workers_are_called_for_what_is_unfinished_here(
    bot: ParleyBot,
    guild: Guild,
    text: Channel,
    mod: Moderator,
    rung: list[tuple[str, int]],
) -> None:
    def leave_something() -> tuple[int, int]:
        unfinished, lost, elsewhere, over = (
            Recorded(guild_id=one)
            for one in (guild.id, guild.id, guild.id + 1, guild.id)
        )
        for talk in (unfinished, elsewhere):
            talk.stops()
        over.ends()
        lost.ends()
        lost.sounds(lost.joins(1, "Ann"), at_s=1.0)
        return unfinished.session.pk, lost.session.pk

    unfinished, lost = await in_db(leave_something)()
    shown = await told(mod, text, "recover")
    assert rung == [("finish", unfinished), ("recover", lost)]
    assert "Sessions being recovered: 2." in shown.content


async def test_what_was_left_in_discord_is_undone(
    server: FakeDiscord, bot: ParleyBot, guild: Guild, text: Channel, mod: Moderator
) -> None:
    room = server.world.add_voice(guild, "Voice-Ann")

    def leave_a_room() -> DiscordCall:
        talk = Recorded(guild_id=guild.id)
        deed = deeds.begin(
            talk.session, text_channel_id=0, locale="en", room_name="Voice-Ann"
        )
        deeds.room_made(deed.pk, room_id=room.id)
        for _ in range(5):
            deeds.failed(deed.pk, error="Discord did not do it")  # so not again soon
        talk.ends()
        return deed

    deed = await in_db(leave_a_room)()
    shown = await told(mod, text, "recover")
    assert "Sessions being recovered: 1." in shown.content
    assert server.world.channel(room.id) is None
    await in_db(deed.refresh_from_db)()
    assert deed.undone_at


async def test_where_nothing_was_left_it_says_so(
    bot: ParleyBot, text: Channel, mod: Moderator
) -> None:
    shown = await told(mod, text, "recover")
    assert "nothing to recover" in shown.content


# --- /end -----------------------------------------------------------------------------


async def test_whoever_asked_for_it_may_end_it(
    bot: ParleyBot, text: Channel, voice: Channel, ann: Person
) -> None:
    session = await called_in(text, voice, ann)
    shown = await told(ann, text, "end", id=str(session.public_id)[:8])
    assert "Ended" in shown.content
    session = await in_state(State.FINISHING)
    assert session.end_reason == "stopped"
    assert not bot.operator.calls


async def test_a_manager_may_end_it(
    bot: ParleyBot, text: Channel, voice: Channel, ann: Person, mod: Moderator
) -> None:
    session = await called_in(text, voice, ann)
    await told(mod, text, "end", id=str(session.public_id))
    session = await in_state(State.FINISHING)
    assert session.end_reason == "moderator"


async def test_nobody_else_may_end_it(
    bot: ParleyBot, text: Channel, voice: Channel, ann: Person, bob: Person
) -> None:
    session = await called_in(text, voice, ann)
    shown = await told(bob, text, "end", id=str(session.public_id))
    assert "not yours" in shown.content
    await in_db(session.participants.create)(key=f"discord:{bob.id}", name="Bob")
    shown = await told(bob, text, "end", id=str(session.public_id))
    assert "not yours" in shown.content
    assert (await in_state(State.ACTIVE)).is_open


async def test_a_room_that_waits_can_be_ended(
    server: FakeDiscord, bot: ParleyBot, text: Channel, ann: Person
) -> None:
    await (await ann.types(text, "voice")).shown()
    session = await in_state(State.WAITING)
    await told(ann, text, "end", id=str(session.public_id))
    session = await in_state(State.FAILED)
    assert server.world.channel(int(session.channel_id)) is None


async def test_a_session_that_no_process_holds_can_be_ended(
    bot: ParleyBot, guild: Guild, text: Channel, mod: Moderator
) -> None:
    left = await in_db(Recorded)(guild_id=guild.id)
    await told(mod, text, "end", id=str(left.session.public_id))
    session = await in_state(State.FINISHING)
    assert session.end_reason == "moderator"


async def test_what_is_over_is_not_ended_again(
    bot: ParleyBot, guild: Guild, text: Channel, mod: Moderator
) -> None:
    over = await in_db(Recorded)(guild_id=guild.id)
    await in_db(over.ends)()
    shown = await told(mod, text, "end", id=str(over.session.public_id))
    assert "has ended already" in shown.content


async def test_a_wrong_id_is_told_in_words(
    bot: ParleyBot, text: Channel, mod: Moderator
) -> None:
    shown = await told(mod, text, "end", id="everything")
    assert "not the id of a session" in shown.content
    shown = await told(mod, text, "end", id="00000000")
    assert "no such session" in shown.content


# --- /health --------------------------------------------------------------------------


async def test_health_tells_of_the_call_in_this_server(
    bot: ParleyBot, text: Channel, voice: Channel, ann: Person, mod: Moderator
) -> None:
    await called_in(text, voice, ann)
    shown = await told(mod, text, "health")
    for line in (
        "Bot: ready since <t:",
        "servers 1",
        "Calls: 1 (packets 0, frames 0, dave_failed 0, reconnects 0)",
        "Here: people 1, packets 0",
        "Queue: waiting 0",
        "Speech-to-text: waiting, utterances behind 0 (0 s)",
        "Workers: 0, media tasks waiting 0",
    ):
        assert line in shown.content


async def test_health_tells_nothing_of_other_servers_but_sums(
    server: FakeDiscord,
    bot: ParleyBot,
    text: Channel,
    voice: Channel,
    ann: Person,
) -> None:
    session = await called_in(text, voice, ann)
    other = server.world.add_guild("Other")
    channel, mod = server.world.add_text(other), server.moderator(other)
    shown = await told(mod, channel, "health")
    assert "Calls: 1" in shown.content
    assert "Here" not in shown.content
    assert str(session.public_id) not in shown.content


async def test_health_tells_who_waits(
    bot: ParleyBot,
    text: Channel,
    ann: Person,
    mod: Moderator,
    settings: Settings,
) -> None:
    settings.VOICE_MAX_ACTIVE = 1
    await (await ann.types(text, "voice")).shown()
    await in_state(State.WAITING)
    await (await mod.types(text, "voice")).shown()
    shown = await told(mod, text, "health")
    assert "Queue: waiting 1" in shown.content
    assert bot.ready_at is not None
    assert bot.ready_at <= timezone.now()
