"""What members decide about themselves, with a whole bot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from discord_bot import in_db, in_state, running
from fakecord.bot import until
from fakecord.entities import Channel, Guild
from fakecord.interactions import Interaction
from fakecord.mail import Message
from fakecord.people import Person
from fakecord.server import FakeDiscord
from fakecord.session import CONTENT
from pytest_django.fixtures import Settings
from recorded import Recorded

from bot.discord import eraser
from bot.discord.client import ParleyBot
from bot.discord.commands import confirming
from bot.models import Erasure, OptOut
from sessions import finish, mixing, recordings
from sessions.models import State, VoiceRequest
from sessions.storage import LocalStorage, UnreachableError

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.DATA_DIR = tmp_path
    settings.STORAGE_DIR = tmp_path / "storage"
    settings.LOGS_DIR = tmp_path / "logs"
    settings.TTS = "none"
    for module in (finish, recordings, mixing):
        monkeypatch.setattr(module, "ring", lambda _: None)
    monkeypatch.setattr(eraser, "EVERY_S", 0.05)
    return tmp_path


@pytest.fixture
async def bot(server: FakeDiscord, guild: Guild) -> AsyncIterator[ParleyBot]:
    async with running(server) as bot:
        yield bot


@pytest.fixture
def bob(server: FakeDiscord, guild: Guild) -> Person:
    return server.person(guild, "Bob")


class Talk(Recorded):
    """Ann and Bob talked, each in their own seconds."""

    def __init__(self, guild: Guild, ann: Person, bob: Person) -> None:
        super().__init__(guild_id=guild.id)
        for at_s, who, name in ((1.0, ann, "Ann"), (5.0, bob, "Bob")):
            person = self.joins(who.id, name)
            self.sounds(person, at_s=at_s)
            self.says(person, f"{name} was here", at_ms=int(at_s * 1000))


def talked(guild: Guild, ann: Person, bob: Person) -> Talk:
    talk = Talk(guild, ann, bob)
    talk.ends()
    return talk


def button_of(message: Message) -> str | None:
    """The id of its one button; None where there is none."""
    rows = message.body.get("components") or []
    return rows[0]["components"][0]["custom_id"] if rows else None


async def asked(who: Person, where: Channel) -> Interaction:
    """They type it, and see what they are asked."""
    typed = await who.types(where, "erase me")
    assert (await typed.shown()).ephemeral
    return typed


async def confirms(who: Person, where: Channel) -> str:
    """They press the button, and wait for what comes of it."""
    typed = await asked(who, where)
    message = await typed.shown()
    before, id_ = message.content, button_of(message)
    assert id_ is not None
    await who.presses(message, id_)
    await until(lambda: message.content != before)
    assert button_of(message) is None
    return message.content


# --- /erase me ------------------------------------------------------------------------


async def test_who_confirms_is_erased_and_the_others_stay(
    bot: ParleyBot, guild: Guild, text: Channel, ann: Person, bob: Person
) -> None:
    talk = await in_db(talked)(guild, ann, bob)
    content = await confirms(ann, text)
    assert "are deleted. Sessions concerned: 1." in content
    assert "until a moderator deletes it" in content
    assert await in_db(lambda: talk.words)() == ["Bob was here"]
    assert "Ann" not in talk.transcript + talk.lines + await in_db(lambda: talk.log)()
    assert len(talk.files) == 3  # a chunk and a fragment of Bob's, the transcript
    assert await in_db(mixing.remix)(talk.session.pk)
    assert await in_db(talk.loudness)(at_s=1.5) == 0.0
    assert await in_db(talk.loudness)(at_s=5.5) > 0.0


async def test_nothing_happens_before_it_is_confirmed(
    bot: ParleyBot, guild: Guild, text: Channel, ann: Person, bob: Person
) -> None:
    talk = await in_db(talked)(guild, ann, bob)
    message = await (await asked(ann, text)).shown()
    assert "Sessions concerned: 1. **This cannot be undone.**" in message.content
    assert not await in_db(Erasure.objects.exists)()
    assert len(await in_db(lambda: talk.words)()) == 2


async def test_the_question_expires(
    bot: ParleyBot,
    guild: Guild,
    text: Channel,
    ann: Person,
    bob: Person,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(confirming, "WITHIN_S", 0.2)
    talk = await in_db(talked)(guild, ann, bob)
    message = await (await asked(ann, text)).shown()
    await until(lambda: "did not confirm" in message.content)
    assert button_of(message) is None
    assert not await in_db(Erasure.objects.exists)()
    assert len(await in_db(lambda: talk.words)()) == 2


async def test_nobody_presses_it_for_another(
    bot: ParleyBot, guild: Guild, text: Channel, ann: Person, bob: Person
) -> None:
    talk = await in_db(talked)(guild, ann, bob)
    message = await (await asked(ann, text)).shown()
    id_ = button_of(message)
    assert id_ is not None
    await bob.presses(message, id_)
    assert not await in_db(Erasure.objects.exists)()
    assert len(await in_db(lambda: talk.words)()) == 2
    await ann.presses(message, id_)  # it is still there for her
    await until(lambda: "are deleted" in message.content)


async def test_pressing_twice_is_once(
    bot: ParleyBot, guild: Guild, text: Channel, ann: Person, bob: Person
) -> None:
    await in_db(talked)(guild, ann, bob)
    message = await (await asked(ann, text)).shown()
    id_ = button_of(message)
    assert id_ is not None
    pressed = [ann.presses(message, id_, within_s=1.0) for _ in range(2)]
    await asyncio.gather(*pressed, return_exceptions=True)
    await until(lambda: "are deleted. Sessions concerned: 1." in message.content)


async def test_what_still_runs_goes_when_it_has_ended(
    bot: ParleyBot, guild: Guild, text: Channel, ann: Person, bob: Person
) -> None:
    talk = await in_db(Talk)(guild, ann, bob)
    content = await confirms(ann, text)
    assert "still running or being finished" in content
    assert "are deleted" not in content
    assert len(await in_db(lambda: talk.words)()) == 2
    await in_db(talk.ends)()
    async with asyncio.timeout(10):
        while await in_db(Erasure.objects.exists)():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert await in_db(lambda: talk.words)() == ["Bob was here"]


async def test_a_storage_that_is_away_is_asked_until_it_answers(
    bot: ParleyBot,
    guild: Guild,
    text: Channel,
    ann: Person,
    bob: Person,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    talk = await in_db(talked)(guild, ann, bob)

    def refuses(self: object, keys: object) -> None:
        raise UnreachableError("nobody answers")

    with monkeypatch.context() as away:
        away.setattr(LocalStorage, "delete", refuses)
        content = await confirms(ann, text)
    assert "the storage does not answer" in content
    async with asyncio.timeout(10):
        while await in_db(Erasure.objects.exists)():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert len(talk.files) == 3


async def test_who_was_never_heard_is_told_so_and_their_wishes_go(
    bot: ParleyBot, text: Channel, ann: Person
) -> None:
    request = await in_db(VoiceRequest.objects.create)(
        source="discord",
        guild_id="1",
        user_id=str(ann.id),
        user_name="Ann",
        state="dropped",
    )
    shown = await (await ann.types(text, "erase me")).shown()
    assert "nothing of yours" in shown.content
    await in_db(request.refresh_from_db)()
    assert (request.user_id, request.user_name) == ("", "")


async def test_it_is_asked_in_ones_own_language(
    bot: ParleyBot, guild: Guild, text: Channel, ann: Person, bob: Person
) -> None:
    await in_db(talked)(guild, ann, bob)
    ann.locale = "ro"
    message = await (await asked(ann, text)).shown()
    assert "vor fi șterse" in message.content
    (row,) = message.body["components"]
    assert row["components"][0]["label"] == "Șterge tot ce îmi aparține"


async def test_with_a_prefix_it_is_asked_before_all_and_answered_by_one(
    server: FakeDiscord,
    guild: Guild,
    text: Channel,
    ann: Person,
    bob: Person,
    settings: Settings,
) -> None:
    settings.COMMAND_PREFIX = "!"
    server.gateway.privileged = CONTENT
    await in_db(talked)(guild, ann, bob)
    async with running(server):
        ann.writes(text, "!erase me")
        posted = server.world.mail.posted
        await until(lambda: len(posted(text.id)) == 2)
        message = posted(text.id)[-1]
        id_ = button_of(message)
        assert id_ is not None
        await bob.presses(message, id_)
        await ann.presses(message, id_)
        await until(lambda: "are deleted" in message.content)


async def test_half_of_it_with_a_prefix_is_answered_with_help(
    server: FakeDiscord, guild: Guild, text: Channel, ann: Person, settings: Settings
) -> None:
    settings.COMMAND_PREFIX = "!"
    server.gateway.privileged = CONTENT
    async with running(server):
        ann.writes(text, "!erase")
        posted = server.world.mail.posted
        await until(lambda: len(posted(text.id)) == 2)
        assert posted(text.id)[-1].content.startswith("`/voice`")


# --- the others -----------------------------------------------------------------------


async def test_opting_out_and_in_again_is_held(
    bot: ParleyBot, text: Channel, ann: Person
) -> None:
    shown = await (await ann.types(text, "optout")).shown()
    assert shown.ephemeral
    assert not bot.admission.admits(ann.id)
    assert await in_db(OptOut.objects.filter(user_id=str(ann.id)).exists)()
    await (await ann.types(text, "optin")).shown()
    assert bot.admission.admits(ann.id)
    assert not await in_db(OptOut.objects.exists)()


@pytest.mark.parametrize(
    ("command", "begins"), [("privacy", "**What is recorded**"), ("help", "`/voice`")]
)
async def test_what_is_to_be_known_is_told(
    bot: ParleyBot, text: Channel, ann: Person, command: str, begins: str
) -> None:
    shown = await (await ann.types(text, command)).shown()
    assert shown.ephemeral
    assert shown.content.startswith(begins)


async def test_a_call_that_runs_is_erased_behind_its_end(
    bot: ParleyBot, text: Channel, voice: Channel, ann: Person
) -> None:
    ann.joins(voice)
    await (await ann.types(text, "record start")).shown()
    session = await in_state(State.ACTIVE)
    content = await confirms(ann, text)
    assert "still running" in content
    await (await ann.types(text, "record stop")).shown()
    session = await in_state(State.FINISHING)
    assert await in_db(finish.complete)(session.pk)
    async with asyncio.timeout(10):
        while await in_db(Erasure.objects.exists)():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await in_db(session.refresh_from_db)()
    assert session.user_id == ""
    request: Any = await in_db(VoiceRequest.objects.get)()
    assert (request.user_id, request.user_name) == ("", "")
