"""What was recorded, asked for by those whose it is, with a whole bot."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from discord_bot import in_db, in_state, running
from fakecord import interactions
from fakecord.bot import until
from fakecord.entities import Channel, Guild
from fakecord.mail import Message
from fakecord.people import Person
from fakecord.server import FakeDiscord
from pytest_django.fixtures import Settings
from recorded import Recorded

from bot.discord.client import ParleyBot
from bot.discord.commands import finding
from sessions import bookmarks, events, finish, mixing, recordings
from sessions.models import State, Tier, VoiceSession
from sessions.storage import LocalStorage, UnreachableError

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.DATA_DIR = tmp_path
    settings.STORAGE_DIR = tmp_path / "storage"
    settings.LOGS_DIR = tmp_path / "logs"
    settings.TTS = "none"
    settings.PUBLIC_URL = "https://parley.example"
    for module in (finish, recordings, mixing):
        monkeypatch.setattr(module, "ring", lambda _: None)
    return tmp_path


@pytest.fixture
async def bot(server: FakeDiscord, guild: Guild) -> AsyncIterator[ParleyBot]:
    async with running(server) as bot:
        yield bot


@pytest.fixture
def bob(server: FakeDiscord, guild: Guild) -> Person:
    return server.person(guild, "Bob")


async def told(who: Person, where: Channel, words: str, /, **options: Any) -> Message:
    """What they are shown, and nobody else is, when they type a command."""
    asked = await who.types(where, words, **options)
    message = await asked.shown()
    assert message.ephemeral
    return message


class Talk:
    """Somebody talked in a guild."""

    def __init__(self, guild: Guild, who: Person, **fields: Any) -> None:
        self.recorded = Recorded(guild_id=guild.id, **fields)
        self.who = self.recorded.joins(who.id, "Ann")

    @property
    def id(self) -> str:
        return str(self.recorded.session.public_id)


def talked(guild: Guild, who: Person, **fields: Any) -> Talk:
    talk = Talk(guild, who, **fields)
    talk.recorded.sounds(talk.who, at_s=1.0)
    talk.recorded.says(talk.who, "good morning")
    talk.recorded.ends()
    return talk


# --- /sessions ------------------------------------------------------------------------


async def test_members_see_the_sessions_they_were_in(
    bot: ParleyBot, guild: Guild, text: Channel, ann: Person, bob: Person
) -> None:
    mine = await in_db(talked)(guild, ann)
    asked_for = await in_db(Recorded)(guild_id=guild.id, asked_by=ann.id)
    others = await in_db(talked)(guild, bob)
    shown = await told(ann, text, "sessions")
    assert finding.short(mine.recorded.session) in shown.content
    assert finding.short(asked_for.session) in shown.content
    assert finding.short(others.recorded.session) not in shown.content
    assert "ready" in shown.content
    assert "running" in shown.content


async def test_managers_see_all_of_their_server_and_no_other(
    server: FakeDiscord, bot: ParleyBot, guild: Guild, text: Channel, ann: Person
) -> None:
    mod = server.moderator(guild)
    there = await in_db(Recorded)(guild_id=guild.id)
    elsewhere = await in_db(Recorded)(guild_id=guild.id + 1)
    shown = await told(mod, text, "sessions")
    assert finding.short(there.session) in shown.content
    assert finding.short(elsewhere.session) not in shown.content


async def test_a_list_of_ten_long_titles_fits_and_rings_nobody(
    server: FakeDiscord, bot: ParleyBot, guild: Guild, text: Channel, ann: Person
) -> None:
    title = f"**@everyone** <@{ann.id}> [x](https://x.example) " + "_*`" * 40
    for _ in range(11):
        await in_db(Recorded)(guild_id=guild.id, asked_by=ann.id, title=title)
    shown = await told(ann, text, "sessions")
    assert len(shown.content.splitlines()) == 11
    assert "**@everyone" not in shown.content.replace("\\*", "")
    assert f"<@{ann.id}>" not in shown.content
    assert not shown.pinged
    assert not shown.pings_everyone


async def test_who_has_no_sessions_is_told_how_to_begin(
    bot: ParleyBot, text: Channel, ann: Person
) -> None:
    ann.locale = "it"
    shown = await told(ann, text, "sessions")
    assert shown.content.startswith("Non ci sono ancora sessioni")


async def test_a_room_that_nobody_came_to_is_not_listed(
    bot: ParleyBot, guild: Guild, text: Channel, ann: Person
) -> None:
    nobody = await in_db(Recorded)(guild_id=guild.id, asked_by=ann.id)
    rows = VoiceSession.objects.filter(pk=nobody.session.pk)
    await in_db(rows.update)(state=State.FAILED, started_at=None)
    shown = await told(ann, text, "sessions")
    assert "no sessions" in shown.content


# --- /transcript ----------------------------------------------------------------------


async def test_a_transcript_comes_as_a_file(
    bot: ParleyBot, guild: Guild, text: Channel, ann: Person
) -> None:
    talk = await in_db(talked)(guild, ann)
    shown = await told(ann, text, "transcript", id=talk.id[:8])
    assert shown.files == (f"transcript-{talk.id}.txt",)
    (upload,) = shown.uploads.values()
    assert upload.data.decode() == "[00:00:01] Ann: good morning\n"
    assert f"https://parley.example/session/{talk.id}" in shown.content


async def test_what_is_above_the_limit_comes_as_a_link(
    bot: ParleyBot,
    guild: Guild,
    text: Channel,
    ann: Person,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(interactions, "FILE_AT_MOST", 10)
    talk = await in_db(talked)(guild, ann)
    shown = await told(ann, text, "transcript", id=talk.id)
    assert not shown.files
    assert f"https://parley.example/session/{talk.id}" in shown.content


async def test_a_file_that_is_refused_comes_as_a_link(
    server: FakeDiscord, bot: ParleyBot, guild: Guild, text: Channel, ann: Person
) -> None:
    talk = await in_db(talked)(guild, ann)
    server.fail("PATCH", "/webhooks/*", status=413, code=40005)
    shown = await told(ann, text, "transcript", id=talk.id)
    assert not shown.files
    assert f"https://parley.example/session/{talk.id}" in shown.content


async def test_a_transcript_of_nothing_is_told_in_words(
    bot: ParleyBot, guild: Guild, text: Channel, ann: Person
) -> None:
    quiet = await in_db(Talk)(guild, ann)
    await in_db(quiet.recorded.ends)()
    shown = await told(ann, text, "transcript", id=quiet.id)
    assert shown.content.startswith("Nothing was said")


@pytest.mark.parametrize(
    ("command", "running_says"),
    [("transcript", "still running"), ("download", "still")],
)
async def test_what_is_not_over_is_told_in_words(
    bot: ParleyBot,
    guild: Guild,
    text: Channel,
    ann: Person,
    command: str,
    running_says: str,
) -> None:
    talk = await in_db(Talk)(guild, ann)
    shown = await told(ann, text, command, id=talk.id)
    assert running_says in shown.content
    await in_db(talk.recorded.stops)()
    shown = await told(ann, text, command, id=talk.id)
    assert "still being finished" in shown.content


@pytest.mark.parametrize("command", ["transcript", "download"])
@pytest.mark.parametrize(
    ("id_", "answer"),
    [
        ("Budget", "not the id of a session"),
        ("1234567", "not the id of a session"),
        ("%%%%%%%%", "not the id of a session"),
        ("00000000", "no such session"),
    ],
)
async def test_a_wrong_id_is_told_in_words(
    bot: ParleyBot, text: Channel, ann: Person, command: str, id_: str, answer: str
) -> None:
    shown = await told(ann, text, command, id=id_)
    assert answer in shown.content


@pytest.mark.parametrize("command", ["transcript", "download"])
async def test_a_stranger_gets_nothing(
    server: FakeDiscord,
    bot: ParleyBot,
    guild: Guild,
    text: Channel,
    ann: Person,
    bob: Person,
    command: str,
) -> None:
    talk = await in_db(talked)(guild, ann)
    shown = await told(bob, text, command, id=talk.id)
    assert "not yours" in shown.content
    assert not shown.files
    other = server.world.add_guild("Other")
    channel, mod = server.world.add_text(other), server.moderator(other)
    await until(lambda: bot.get_channel(channel.id))
    shown = await told(mod, channel, command, id=talk.id)
    assert "no such session" in shown.content


async def test_an_id_that_two_begin_with_is_none(
    bot: ParleyBot, guild: Guild, text: Channel, ann: Person
) -> None:
    for last in "12":
        id_ = f"00000000-0000-4000-8000-00000000000{last}"
        await in_db(Recorded)(guild_id=guild.id, asked_by=ann.id, public_id=id_)
    shown = await told(ann, text, "transcript", id="00000000")
    assert "not the id" in shown.content
    shown = await told(ann, text, "transcript", id=id_)
    assert "still running" in shown.content


# --- /download ------------------------------------------------------------------------


async def test_sound_comes_as_a_link_that_expires(
    bot: ParleyBot, guild: Guild, text: Channel, ann: Person, settings: Settings
) -> None:
    settings.DOWNLOAD_LINK_S = 7200
    talk = await in_db(talked)(guild, ann)
    shown = await told(ann, text, "download", id=f"`{talk.id[:8].upper()}`")
    assert re.search(r"<https://parley\.example/storage/\S+>", shown.content)
    assert "120 min" in shown.content


async def test_a_link_leads_somewhere_without_a_public_address(
    bot: ParleyBot, guild: Guild, text: Channel, ann: Person, settings: Settings
) -> None:
    settings.PUBLIC_URL = ""
    talk = await in_db(talked)(guild, ann)
    shown = await told(ann, text, "download", id=talk.id)
    host = f"http://{settings.WEB_HOST}:{settings.WEB_PORT}"
    assert f"<{host}/storage/" in shown.content


async def test_a_master_that_is_lost_is_made_again(
    bot: ParleyBot,
    guild: Guild,
    text: Channel,
    ann: Person,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rung: list[int] = []
    monkeypatch.setattr(mixing, "ring", rung.append)
    talk = await in_db(talked)(guild, ann)
    session = talk.recorded.session
    (master,) = await in_db(recordings.of_tier)(session.pk, Tier.MASTER)
    (here / "storage" / master.key).unlink()
    shown = await told(ann, text, "download", id=talk.id)
    assert "being built again" in shown.content
    assert rung == [session.pk]
    assert await in_db(mixing.remix)(session.pk)
    shown = await told(ann, text, "download", id=talk.id)
    assert "/storage/" in shown.content


async def test_a_session_without_sound_has_no_download(
    bot: ParleyBot, guild: Guild, text: Channel, ann: Person
) -> None:
    quiet = await in_db(Talk)(guild, ann)
    await in_db(quiet.recorded.ends)()
    shown = await told(ann, text, "download", id=quiet.id)
    assert "Nothing was recorded" in shown.content


async def test_storage_that_is_away_is_told_in_words(
    bot: ParleyBot,
    guild: Guild,
    text: Channel,
    ann: Person,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    talk = await in_db(talked)(guild, ann)

    def refuses(self: object, key: str) -> None:
        raise UnreachableError("nobody answers")

    monkeypatch.setattr(LocalStorage, "stat", refuses)
    shown = await told(ann, text, "download", id=talk.id)
    assert "no place to keep recordings" in shown.content


async def test_who_asks_too_often_is_told_to_wait(
    bot: ParleyBot, text: Channel, ann: Person
) -> None:
    for _ in range(5):
        await told(ann, text, "sessions")
    shown = await told(ann, text, "sessions")
    assert "Too soon" in shown.content


# --- /note ----------------------------------------------------------------------------


async def called_in(text: Channel, voice: Channel, who: Person) -> VoiceSession:
    """The bot is where they sit."""
    who.joins(voice)
    await (await who.types(text, "record start")).shown()
    return await in_state(State.ACTIVE)


async def notes(session: VoiceSession) -> list[events.Event]:
    log = await in_db(events.replay)(session.pk, after=0)
    return [one for one in log if one.type == "note"]


async def test_a_note_marks_its_moment_in_the_log(
    bot: ParleyBot, text: Channel, voice: Channel, ann: Person
) -> None:
    session = await called_in(text, voice, ann)
    shown = await told(ann, text, "note", text="the\nbudget\u202e")
    (note,) = await notes(session)
    at_ms = note.data.pop("at_ms")
    assert 0 <= at_ms < 60_000
    (row,) = await in_db(bookmarks.of_session)(session)
    assert note.data.pop("id") == str(row.public_id)
    assert (row.text, row.name, row.position) == ("the budget", "Ann", at_ms * 48)
    assert note.data == {
        "author": f"discord:{ann.id}",
        "name": "Ann",
        "text": "the budget",
    }
    assert f"Noted at 0:{at_ms // 1000:02}" in shown.content


async def test_a_note_names_the_participant_who_has_spoken(
    bot: ParleyBot, text: Channel, voice: Channel, ann: Person
) -> None:
    session = await called_in(text, voice, ann)
    person = await in_db(session.participants.create)(
        key=f"discord:{ann.id}", name="Ann"
    )
    await told(ann, text, "note", text="here")
    (note,) = await notes(session)
    assert note.data["participant"] == str(person.public_id)


async def test_only_who_sits_in_the_call_may_note(
    bot: ParleyBot, text: Channel, voice: Channel, ann: Person, bob: Person
) -> None:
    session = await called_in(text, voice, ann)
    shown = await told(bob, text, "note", text="here")
    assert "no voice channel" in shown.content
    assert await notes(session) == []


async def test_nothing_is_noted_where_nothing_runs(
    bot: ParleyBot, text: Channel, voice: Channel, ann: Person
) -> None:
    ann.joins(voice)
    shown = await told(ann, text, "note", text="here")
    assert "Nothing is being recorded" in shown.content


async def test_a_note_is_no_novel(
    bot: ParleyBot, text: Channel, voice: Channel, ann: Person
) -> None:
    session = await called_in(text, voice, ann)
    shown = await told(ann, text, "note", text="x" * 501)
    assert "too long" in shown.content
    assert await notes(session) == []


async def test_notes_of_what_is_not_kept_are_not_kept(
    bot: ParleyBot, text: Channel, voice: Channel, ann: Person
) -> None:
    ann.joins(voice)
    await (await ann.types(text, "record start", keep=False)).shown()
    session = await in_state(State.ACTIVE)
    await told(ann, text, "note", text="a secret")
    assert len(await notes(session)) == 1
    await (await ann.types(text, "record stop")).shown()
    session = await in_state(State.FINISHING)
    assert await in_db(finish.complete)(session.pk)
    assert await notes(session) == []
    assert await in_db(bookmarks.of_session)(session) == []
