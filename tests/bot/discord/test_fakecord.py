"""The test Discord: does a discord.py nobody has changed believe it?"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import discord
import pytest
from discord import app_commands
from fakecord.bot import INTENTS, logged_in, until
from fakecord.connector import from_environment
from fakecord.entities import Channel, Guild
from fakecord.people import Person
from fakecord.server import FakeDiscord

# login and gateway


async def test_a_bot_logs_in_and_sees_its_guild(
    server: FakeDiscord, guild: Guild, text: Channel, voice: Channel
) -> None:
    async with logged_in(server) as client:
        found = client.get_guild(guild.id)
        assert found is not None
        assert found.me.guild_permissions.manage_channels
        assert {c.id for c in found.channels} == {text.id, voice.id}
        assert isinstance(found.get_channel(voice.id), discord.VoiceChannel)


async def test_a_wrong_token_is_refused(server: FakeDiscord) -> None:
    server.token = "wrong"
    with pytest.raises(discord.LoginFailure):
        async with logged_in(server):
            pass


async def test_privileged_intents_are_refused(server: FakeDiscord) -> None:
    intents = INTENTS | discord.Intents(message_content=True)
    async with discord.Client(intents=intents, connector=server.connector()) as client:
        await client.login(server.token)
        with pytest.raises(discord.PrivilegedIntentsRequired):
            await asyncio.wait_for(client.connect(), 5)


async def test_a_lost_line_is_resumed_and_what_was_missed_comes(
    server: FakeDiscord, guild: Guild
) -> None:
    async with logged_in(server) as client:
        server.gateway.cut()
        made = server.world.add_text(guild, "made while away")
        await until(lambda: server.gateway.resumed, within_s=10)
        await until(lambda: client.get_channel(made.id))
        assert server.gateway.identified == 1


async def test_a_moderators_deed_is_told(
    server: FakeDiscord, guild: Guild, text: Channel
) -> None:
    async with logged_in(server) as client:
        server.world.delete_channel(text)
        await until(lambda: client.get_channel(text.id) is None)


# REST


async def test_a_slash_command_reaches_the_tree_and_its_answer_is_kept(
    server: FakeDiscord, guild: Guild, text: Channel, ann: Person
) -> None:
    async with logged_in(server) as client:
        tree = app_commands.CommandTree(client)

        @tree.command(name="echo", description="Says it again")
        async def echo(interaction: discord.Interaction, words: str) -> None:
            await interaction.response.defer(ephemeral=True, thinking=True)
            await interaction.followup.send(words.upper())
            await interaction.edit_original_response(content=f"said {words}")

        await tree.sync()
        assert server.interactions.commands[None][0]["name"] == "echo"
        typed = await ann.types(text, "echo", words="hello")
        assert typed.callback == 5
        assert (await typed.shown()).content == "said hello"
        assert [m.content for m in typed.followups] == ["HELLO"]
        assert typed.answer is not None
        assert typed.answer.ephemeral


async def test_a_button_is_pressed_and_its_message_changes(
    server: FakeDiscord, text: Channel, ann: Person
) -> None:
    async with logged_in(server) as client:

        class Panel(discord.ui.View):
            @discord.ui.button(label="Stop", custom_id="stop")
            async def end(self, interaction: discord.Interaction, _: Any) -> None:
                await interaction.response.edit_message(content="over", view=None)

        channel: Any = client.get_channel(text.id)
        await channel.send("recording", view=Panel())
        (message,) = server.world.mail.posted(text.id)
        await ann.presses(message, "stop")
        assert message.content == "over"


async def test_channels_and_messages_are_made_edited_and_deleted(
    server: FakeDiscord, guild: Guild, text: Channel
) -> None:
    async with logged_in(server) as client:
        found: Any = client.get_guild(guild.id)
        made = await found.create_voice_channel("Parley", user_limit=5)
        kept = guild.channels[made.id]
        assert (kept.name, kept.options["user_limit"]) == ("Parley", 5)
        await made.edit(name="Renamed", status="recording")
        assert (kept.name, kept.status) == ("Renamed", "recording")
        await found.me.edit(nick="[REC] Parley")
        assert server.world.me(guild.id).nick == "[REC] Parley"
        message = await found.get_channel(text.id).send("one")
        await message.edit(embed=discord.Embed(title="two"))
        kept_message = server.world.mail.messages[message.id]
        assert kept_message.body["embeds"][0]["title"] == "two"
        await message.delete()
        await made.delete(reason="over")
        assert guild.channels.keys() == {text.id}
        assert not server.world.mail.messages
        (asked,) = server.asked("DELETE", f"/channels/{made.id}")
        assert (asked.reason, asked.status) == ("over", 200)


async def test_what_the_bot_may_not_do_is_forbidden(
    server: FakeDiscord, guild: Guild, voice: Channel
) -> None:
    async with logged_in(server) as client:
        server.world.allow(guild, 0)
        found: Any = client.get_channel(voice.id)
        with pytest.raises(discord.Forbidden) as caught:
            await found.delete()
        assert caught.value.code == 50013


async def test_requests_fail_as_asked(
    server: FakeDiscord, guild: Guild, voice: Channel
) -> None:
    async with logged_in(server) as client:
        found: Any = client.get_channel(voice.id)
        path = f"/channels/{voice.id}"
        server.fail("PATCH", path, status=404, code=10003)
        with pytest.raises(discord.NotFound):
            await found.edit(name="a")
        server.fail("PATCH", path, way="reset")
        with pytest.raises(OSError):
            await found.edit(name="b")
        server.fail("PATCH", path, way="hang")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(found.edit(name="c"), 0.2)
        server.fail("PATCH", path, status=429, retry_after_s=0.1)
        began = time.monotonic()
        await found.edit(name="d")
        assert time.monotonic() - began > 0.1
        server.fail("DELETE", "/channels/*", status=503)
        with pytest.raises(discord.DiscordServerError):
            await found.delete()
        await found.delete()
        asked = server.asked("*", path)
        assert [r.status for r in asked] == [404, None, None, 429, 200, 503, 200]


async def test_a_member_gets_a_letter(
    server: FakeDiscord, voice: Channel, ann: Person
) -> None:
    ann.joins(voice)
    async with logged_in(server) as client:
        found: Any = client.get_guild(voice.guild_id)
        await found.get_member(ann.id).send("You are recorded.")
        assert [letter.content for letter in ann.letters] == ["You are recorded."]


async def test_a_bot_of_another_process_finds_the_way_by_its_environment(
    server: FakeDiscord, guild: Guild, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)
    way = from_environment()
    async with discord.Client(intents=INTENTS, connector=way) as client:
        await client.login(server.token)
        assert client.application_id == server.world.bot.id
