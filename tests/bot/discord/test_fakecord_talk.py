"""The test Discord's messages and commands: does what is written come out unharmed?"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import Any

import discord
import pytest
import pytest_asyncio
from discord import app_commands
from fakecord.bot import known, logged_in, until
from fakecord.entities import Channel, Guild
from fakecord.interactions import Barred
from fakecord.people import Person
from fakecord.server import FakeDiscord

pytestmark = pytest.mark.asyncio(loop_scope="module")
SPEAKS = discord.Intents(guilds=True, voice_states=True, messages=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord(latency_s=0.0) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(server: FakeDiscord) -> AsyncIterator[discord.Client]:
    async with logged_in(server, intents=SPEAKS) as client:
        yield client


@pytest.fixture
def tree(client: discord.Client) -> Any:
    """A tree of this test's own: a client takes only one."""
    client._connection._command_tree = None
    return app_commands.CommandTree(client)


# answers


async def test_an_ephemeral_answer_is_edited_and_deleted(
    server: FakeDiscord, tree: Any, text: Channel, ann: Person
) -> None:
    @tree.command(name="privacy", description="What is kept")
    async def privacy(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("all", ephemeral=True)
        await interaction.edit_original_response(content="nothing")

    @tree.command(name="gone", description="Says nothing")
    async def gone(interaction: discord.Interaction) -> None:
        await interaction.response.defer(ephemeral=True)
        await interaction.delete_original_response()

    typed = await ann.types(text, "privacy")
    await until(lambda: typed.answer and typed.answer.content == "nothing")
    assert typed.answer is not None
    assert typed.answer.ephemeral
    typed = await ann.types(text, "gone")
    await until(lambda: typed.answer is None)
    assert not server.world.mail.posted(text.id)


async def test_what_follows_a_hidden_deferral_is_hidden_too(
    server: FakeDiscord, tree: Any, text: Channel, ann: Person
) -> None:
    @tree.command(name="late", description="Takes its time")
    async def late(interaction: discord.Interaction) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        await interaction.followup.send("at last")

    told = await (await ann.types(text, "late")).told()
    assert told.content == "at last"
    assert told.ephemeral
    assert not server.world.mail.posted(text.id)


async def test_files_come_with_their_names_sizes_and_bytes(
    client: discord.Client, tree: Any, text: Channel, ann: Person
) -> None:
    @tree.command(name="transcript", description="A file")
    async def transcript(interaction: discord.Interaction) -> None:
        await interaction.response.defer()
        files = [
            discord.File(io.BytesIO(b"Ann: hello"), "words.txt"),
            discord.File(io.BytesIO(bytes(range(256))), "sound.ogg"),
        ]
        await interaction.followup.send("here", files=files)

    typed = await ann.types(text, "transcript")
    await until(lambda: typed.followups)
    (message,) = typed.followups
    assert message.files == ("words.txt", "sound.ogg")
    uploads = list(message.uploads.values())
    assert [one.data for one in uploads] == [b"Ann: hello", bytes(range(256))]
    found = await (await known(client, text)).fetch_message(message.id)
    assert [a.size for a in found.attachments] == [10, 256]
    assert await found.attachments[1].read() == bytes(range(256))


async def test_an_edit_keeps_the_files_it_names(
    client: discord.Client, server: FakeDiscord, text: Channel
) -> None:
    found = await known(client, text)
    one, two, three = (discord.File(io.BytesIO(b"x"), f"{n}.txt") for n in range(3))
    message = await found.send(files=[one, two])
    kept = server.world.mail.messages[message.id]
    message = await message.edit(attachments=[message.attachments[1], three])
    assert kept.files == ("1.txt", "2.txt")
    await message.edit(content="and text")
    assert (kept.content, kept.files) == ("and text", ("1.txt", "2.txt"))


async def test_an_answer_can_be_given_once_and_in_time(
    server: FakeDiscord, tree: Any, text: Channel, ann: Person
) -> None:
    codes = []

    @tree.command(name="twice", description="Answers twice")
    async def twice(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("one")
        try:
            await discord.InteractionResponse(interaction).send_message("two")
        except discord.HTTPException as error:
            codes.append(error.code)
        server.interactions.all[interaction.token].began -= 901
        try:
            await interaction.edit_original_response(content="three")
        except discord.NotFound as error:
            codes.append(error.code)

    typed = await ann.types(text, "twice")
    await until(lambda: len(codes) == 2)
    assert codes == [40060, 10062]
    assert typed.answer is not None
    assert typed.answer.content == "one"


# buttons


class Panel(discord.ui.View):
    """A button that outlives the bot."""

    def __init__(self) -> None:
        super().__init__(timeout=None)
        self.pressed_by: list[int] = []

    @discord.ui.button(label="Stop", custom_id="session:stop")
    async def stop_all(self, interaction: discord.Interaction, _: Any) -> None:
        self.pressed_by.append(interaction.user.id)
        await interaction.response.send_message("stopped", ephemeral=True)


async def test_a_button_from_before_works_after_a_new_start(
    server: FakeDiscord, text: Channel, ann: Person
) -> None:
    async with logged_in(server) as before:
        await (await known(before, text)).send("recording", view=Panel())
    (message,) = server.world.mail.posted(text.id)
    async with logged_in(server) as after:
        panel = Panel()
        after.add_view(panel)
        pressed = await ann.presses(message, "session:stop")
        assert panel.pressed_by == [ann.id]
        assert (await pressed.shown()).content == "stopped"


async def test_a_button_that_is_not_there_cannot_be_pressed(
    client: discord.Client, server: FakeDiscord, text: Channel, ann: Person
) -> None:
    sent = await (await known(client, text)).send("recording", view=Panel())
    message = server.world.mail.messages[sent.id]
    with pytest.raises(Barred):
        await ann.presses(message, "session:start")
    await sent.edit(view=None)
    with pytest.raises(Barred):
        await ann.presses(message, "session:stop")


# commands


class Italian(app_commands.Translator):
    """Knows one word."""

    async def translate(
        self, string: Any, locale: discord.Locale, context: Any
    ) -> str | None:
        known = string.message == "room" and locale is discord.Locale.italian
        return "stanza" if known else None


async def test_commands_are_registered_with_their_translations(
    server: FakeDiscord, tree: Any
) -> None:
    await tree.set_translator(Italian())
    admins = discord.Permissions(manage_guild=True)
    words = app_commands.locale_str("room")

    @tree.command(name=words, description="A private room")
    @app_commands.default_permissions(admins)
    async def room(interaction: discord.Interaction) -> None:
        raise NotImplementedError

    (synced,) = await tree.sync()
    (kept,) = server.interactions.commands[None]
    assert kept["name_localizations"] == {"it": "stanza"}
    assert int(kept["default_member_permissions"]) == admins.value
    (again,) = await tree.sync()
    assert again.id == synced.id
    (fetched,) = await tree.fetch_commands()
    assert fetched.name_localizations == {discord.Locale.italian: "stanza"}


async def test_a_command_for_managers_is_not_shown_to_others(
    server: FakeDiscord, guild: Guild, tree: Any, text: Channel, ann: Person
) -> None:
    @tree.command(name="health", description="How it is")
    @app_commands.default_permissions(manage_guild=True)
    async def health(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("well", ephemeral=True)

    await tree.sync()
    with pytest.raises(Barred):
        await ann.types(text, "health")
    boss = server.moderator(guild)
    assert (await (await boss.types(text, "health")).shown()).content == "well"


async def test_a_wrong_translation_fails_the_sync(tree: Any) -> None:
    words = app_commands.locale_str("ok")

    @tree.command(name=words, description="x" * 100)
    async def ok(interaction: discord.Interaction) -> None:
        raise NotImplementedError

    class Loud(app_commands.Translator):
        async def translate(self, string: Any, locale: Any, context: Any) -> str:
            return "Zwei Wörter"

    await tree.set_translator(Loud())
    with pytest.raises(discord.HTTPException) as caught:
        await tree.sync()
    assert caught.value.code == 50035


async def test_an_interaction_carries_the_members_language(
    tree: Any, text: Channel, ann: Person
) -> None:
    @tree.command(name="lang", description="Which language")
    async def lang(interaction: discord.Interaction) -> None:
        await interaction.response.send_message(interaction.locale.value)

    ann.locale = "uk"
    assert (await (await ann.types(text, "lang")).shown()).content == "uk"


# messages


async def test_who_takes_no_letters_gets_none(
    client: discord.Client, voice: Channel, ann: Person
) -> None:
    ann.joins(voice)
    guild = (await known(client, voice)).guild
    member = await until(lambda: guild.get_member(ann.id))
    ann.refuses_letters()
    with pytest.raises(discord.Forbidden) as caught:
        await member.send("You are recorded.")
    assert caught.value.code == 50007
    assert not ann.letters


async def test_only_whom_the_bot_means_to_wake_is_woken(
    client: discord.Client, server: FakeDiscord, text: Channel, ann: Person
) -> None:
    found = await known(client, text)
    words = f"<@{ann.id}> said @everyone"
    for allowed, woken in (
        (discord.utils.MISSING, True),
        (discord.AllowedMentions.none(), False),
    ):
        sent = await found.send(words, allowed_mentions=allowed)
        kept = server.world.mail.messages[sent.id]
        assert [user.id for user in kept.pinged] == [ann.id] * woken
        assert kept.pings_everyone == woken


async def test_what_others_write_is_read_only_by_who_is_named(
    client: discord.Client, server: FakeDiscord, text: Channel, ann: Person
) -> None:
    await known(client, text)
    heard: list[str] = []

    async def on_message(message: discord.Message) -> None:
        heard.append(message.content)

    client.event(on_message)
    ann.writes(text, "!voice")
    named = f"<@{server.world.bot.id}> voice"
    ann.writes(text, named)
    await until(lambda: len(heard) == 2)
    assert heard == ["", named]


async def test_the_bot_edits_and_deletes_only_its_own_messages(
    client: discord.Client, server: FakeDiscord, text: Channel, ann: Person
) -> None:
    found, written = await known(client, text), ann.writes(text, "mine")
    theirs = found.get_partial_message(written.id)
    with pytest.raises(discord.Forbidden) as caught:
        await theirs.edit(content="ours")
    assert caught.value.code == 50005
    with pytest.raises(discord.Forbidden):
        await theirs.delete()
    ours = await found.send("ours")
    await ours.delete()
    with pytest.raises(discord.NotFound) as missing:
        await ours.delete()
    assert missing.value.code == 10008


async def test_a_hidden_text_channel_says_nothing_to_the_bot(
    client: discord.Client, server: FakeDiscord, guild: Guild, ann: Person
) -> None:
    open_, hidden = server.world.add_text(guild), server.world.add_text(guild)
    server.world.hide(hidden, ann.member)
    await known(client, hidden)
    heard: list[int] = []

    async def on_message(message: discord.Message) -> None:
        heard.append(message.channel.id)

    client.event(on_message)
    ann.writes(hidden, "secret")
    ann.writes(open_, "open")
    await until(lambda: heard)
    assert heard == [open_.id]
