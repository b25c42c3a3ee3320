"""The test Discord's rights and limits: does it refuse what Discord refuses?"""

from __future__ import annotations

import asyncio
import io
import itertools
from collections.abc import AsyncIterator
from typing import Any

import discord
import pytest
import pytest_asyncio
from fakecord import permissions as may
from fakecord.bot import known, logged_in, until
from fakecord.entities import CATEGORY, VOICE, Channel, Guild
from fakecord.forms import FILE_AT_MOST
from fakecord.interactions import Barred
from fakecord.people import Person
from fakecord.server import FakeDiscord
from fakecord.world import BOT

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord(latency_s=0.0) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(server: FakeDiscord) -> AsyncIterator[discord.Client]:
    async with logged_in(server) as client:
        yield client


async def seen(client: discord.Client, guild: Guild) -> Any:
    """The guild, once the bot has heard of all there is in it by now."""
    found = await until(lambda: client.get_guild(guild.id))
    await until(lambda: {c.id for c in found.channels} == guild.channels.keys())
    return found


def code_of(caught: pytest.ExceptionInfo[discord.HTTPException]) -> tuple[int, int]:
    return caught.value.status, caught.value.code


# who may what


async def test_rights_come_about_as_discord_py_has_it(
    client: discord.Client, server: FakeDiscord, guild: Guild
) -> None:
    me = server.world.me(guild.id)
    role, everyone = guild.roles[me.roles[0]], guild.roles[guild.id]
    channels = [server.world.add_voice(guild), server.world.add_text(guild)]
    bits = (may.VIEW, may.CONNECT, may.SEND, may.MANAGE_CHANNELS)
    for (one, two), channel in itertools.product(
        itertools.permutations(bits, 2), channels
    ):
        server.world.overwrite(channel, everyone, deny=one | two)
        server.world.overwrite(channel, role, allow=one)
        server.world.overwrite(channel, me, allow=two, deny=one)
        wanted = list(channel.overwrites.values())
        found = await known(client, channel)
        await until(lambda: _as_written(found) == wanted)  # noqa: B023
        known_there = discord.Permissions.all_channel().value
        if not channel.is_vocal:  # discord.py leaves those of voice out altogether
            known_there &= ~may.VOCAL
        theirs = found.permissions_for(found.guild.me).value
        ours = guild.permissions(me, channel)
        assert ours & known_there == theirs & known_there


def _as_written(channel: Any) -> list[dict[str, Any]]:
    return [
        {"id": str(o.id), "type": o.type, "allow": str(o.allow), "deny": str(o.deny)}
        for o in channel._overwrites
    ]


async def test_a_stranger_neither_sees_nor_enters_a_private_channel(
    server: FakeDiscord, guild: Guild, voice: Channel, ann: Person
) -> None:
    stranger = server.person(guild, "Eve")
    server.world.hide(voice, ann.member)
    ann.joins(voice)
    assert not stranger.sees(voice)
    assert not stranger.can_join(voice)
    with pytest.raises(Barred):
        stranger.joins(voice)
    assert stranger.channel is None


async def test_administrators_and_the_owner_get_in_everywhere(
    server: FakeDiscord, guild: Guild, ann: Person
) -> None:
    full = server.world.add_voice(guild, "Full", limit=1)
    server.world.hide(full, ann.member)
    ann.joins(full)
    server.moderator(guild).joins(full)
    owner = guild.members[guild.owner_id]
    assert server.world.join(owner, full)


async def test_a_private_channel_made_by_the_bot_is_closed_to_the_others(
    client: discord.Client, server: FakeDiscord, guild: Guild, ann: Person
) -> None:
    found = await seen(client, guild)
    hidden = discord.PermissionOverwrite(view_channel=False, connect=False)
    shown = discord.PermissionOverwrite(view_channel=True, connect=True)
    only: Any = {
        found.default_role: hidden,
        found.me: shown,
        discord.Object(ann.id, type=discord.Member): shown,
    }
    made = await found.create_voice_channel("Voice-Ann", overwrites=only)
    kept = guild.channels[made.id]
    assert ann.can_join(kept)
    assert not server.person(guild, "Eve").can_join(kept)
    await made.delete()
    assert made.id not in guild.channels


async def test_a_bot_that_has_shut_itself_out_cannot_even_delete(
    client: discord.Client, guild: Guild
) -> None:
    found = await seen(client, guild)
    hidden = discord.PermissionOverwrite(view_channel=False)
    made = await found.create_voice_channel(
        "x", overwrites={found.default_role: hidden}
    )
    with pytest.raises(discord.Forbidden) as caught:
        await made.delete()
    assert code_of(caught) == (403, 50001)


@pytest.mark.parametrize(
    ("lacking", "code"),
    [(may.VIEW, 50001), (may.CONNECT, 50001), (may.MANAGE_CHANNELS, 50013)],
)
async def test_what_the_bot_lacks_in_a_channel_decides_the_code(
    client: discord.Client, server: FakeDiscord, voice: Channel, lacking: int, code: int
) -> None:
    found = await known(client, voice)
    server.world.overwrite(voice, server.world.me(voice.guild_id), deny=lacking)
    with pytest.raises(discord.Forbidden) as caught:
        await found.edit(name="new")
    assert code_of(caught) == (403, code)


async def test_nothing_is_written_where_the_bot_may_not_send(
    client: discord.Client, server: FakeDiscord, text: Channel
) -> None:
    found, me = await known(client, text), server.world.me(text.guild_id)
    server.world.overwrite(text, me, deny=may.EMBED)
    with pytest.raises(discord.Forbidden) as caught:
        await found.send(embed=discord.Embed(title="panel"))
    assert code_of(caught) == (403, 50013)
    server.world.overwrite(text, me, deny=may.SEND)
    with pytest.raises(discord.Forbidden) as caught:
        await found.send("hello")
    assert code_of(caught) == (403, 50013)


async def test_the_right_to_make_channels_may_be_a_categorys(
    client: discord.Client, server: FakeDiscord, guild: Guild
) -> None:
    category = server.world.add_category(guild)
    found = await seen(client, guild)
    server.world.allow(guild, BOT & ~may.MANAGE_CHANNELS)
    server.world.overwrite(
        category, server.world.me(guild.id), allow=may.MANAGE_CHANNELS
    )
    with pytest.raises(discord.Forbidden) as caught:
        await found.create_voice_channel("outside")
    assert code_of(caught) == (403, 50013)
    place = found.get_channel(category.id)
    made = await found.create_voice_channel("inside", category=place)
    assert guild.channels[made.id].overwrites == category.overwrites


async def test_the_bot_gives_only_what_it_has_itself(
    client: discord.Client, server: FakeDiscord, guild: Guild
) -> None:
    found = await seen(client, guild)
    server.world.allow(guild, BOT | may.MANAGE_ROLES)
    for right in ("mute_members", "manage_roles"):
        given = discord.PermissionOverwrite(**{right: True})
        with pytest.raises(discord.Forbidden) as caught:
            await found.create_voice_channel("x", overwrites={found.me: given})
        assert code_of(caught) == (403, 50013)


async def test_overwrites_of_what_is_there_need_another_right(
    client: discord.Client, server: FakeDiscord, guild: Guild, voice: Channel
) -> None:
    found = await known(client, voice)
    with pytest.raises(discord.Forbidden):
        await found.set_permissions(found.guild.default_role, speak=False)
    server.world.allow(guild, BOT | may.MANAGE_ROLES)
    await found.set_permissions(found.guild.default_role, speak=False)
    assert voice.overwrites[guild.id]["deny"] == str(may.SPEAK)
    await found.set_permissions(found.guild.default_role, overwrite=None)
    assert not voice.overwrites


async def test_where_the_bot_may_not_connect_discord_says_nothing(
    client: discord.Client, server: FakeDiscord, voice: Channel
) -> None:
    found = await known(client, voice)
    server.world.hide(voice)
    with pytest.raises(TimeoutError):
        await found.connect(reconnect=False, timeout=0.1)
    assert server.world.me(voice.guild_id).voice is None


async def test_who_may_move_members_squeezes_into_a_full_channel(
    client: discord.Client, server: FakeDiscord, guild: Guild, ann: Person
) -> None:
    full = server.world.add_voice(guild, "Full", limit=1)
    ann.joins(full)
    with pytest.raises(Barred):
        server.person(guild, "Ben").joins(full)
    me = server.world.me(guild.id)
    assert server.world.admits(me, full)
    server.world.overwrite(full, me, deny=may.MOVE_MEMBERS)
    assert not server.world.admits(me, full)


async def test_a_command_tells_what_both_may_in_its_channel(
    client: discord.Client, server: FakeDiscord, text: Channel, ann: Person
) -> None:
    everyone = server.world.guilds[text.guild_id].roles[text.guild_id]
    server.world.overwrite(text, everyone, deny=may.READ_HISTORY)
    server.world.overwrite(text, server.world.me(text.guild_id), deny=may.SEND)
    heard: asyncio.Future[discord.Interaction] = client.loop.create_future()
    client.event(_once(heard))
    with pytest.raises(TimeoutError):
        await ann.types(text, "anything", within_s=0.05)
    said = await asyncio.wait_for(heard, 2)
    assert said.permissions.send_messages
    assert not said.permissions.read_message_history
    assert not said.app_permissions.send_messages
    assert not said.app_permissions.attach_files
    assert said.app_permissions.manage_channels


def _once(heard: asyncio.Future[discord.Interaction]) -> Any:
    async def on_interaction(interaction: discord.Interaction) -> None:
        if not heard.done():
            heard.set_result(interaction)

    return on_interaction


async def test_who_sees_no_channel_types_no_command_in_it(
    server: FakeDiscord, text: Channel, ann: Person
) -> None:
    server.world.hide(text)
    with pytest.raises(Barred):
        await ann.types(text, "voice")


# limits


async def test_a_guild_takes_five_hundred_channels(
    client: discord.Client, server: FakeDiscord
) -> None:
    guild = server.world.add_guild("Crowded")
    found = await until(lambda: client.get_guild(guild.id))
    for number in range(500):
        guild.channels[number] = Channel(number, guild.id, VOICE, str(number))
    with pytest.raises(discord.HTTPException) as caught:
        await found.create_voice_channel("one too many")
    assert code_of(caught) == (400, 30013)


async def test_a_category_has_to_be_there_and_to_have_room(
    client: discord.Client, server: FakeDiscord, guild: Guild, voice: Channel
) -> None:
    found = await seen(client, guild)
    category = server.world.add_category(guild)
    for _ in range(50):
        server.world.add_channel(guild, "c", VOICE, {"parent_id": str(category.id)})
    for parent in (voice.id, 1, category.id):
        place: Any = discord.Object(parent)
        with pytest.raises(discord.HTTPException) as caught:
            await found.create_voice_channel("x", category=place, overwrites={})
        assert code_of(caught) == (400, 50035)
        assert "parent_id" in caught.value.text


async def test_a_deleted_category_leaves_its_channels(
    client: discord.Client, server: FakeDiscord, guild: Guild
) -> None:
    category = server.world.add_channel(guild, "c", CATEGORY)
    inside = {"parent_id": str(category.id)}
    child = server.world.add_channel(guild, "child", VOICE, inside)
    found = await known(client, child)
    assert found.category is not None
    await found.category.delete()
    await until(lambda: found.category is None and found.category_id is None)


async def test_what_is_too_long_is_refused(
    client: discord.Client, server: FakeDiscord, voice: Channel, text: Channel
) -> None:
    room, place = await known(client, voice), await known(client, text)
    file = discord.File(io.BytesIO(bytes(FILE_AT_MOST + 1)), "long.wav")
    for act, code in (
        (room.edit(name="x" * 101), 50035),
        (room.edit(user_limit=100), 50035),
        (room.edit(status="x" * 501), 50035),
        (room.guild.me.edit(nick="x" * 33), 50035),
        (place.send("x" * 2001), 50035),
        (place.send(), 50006),
        (place.send(file=file), 40005),
    ):
        with pytest.raises(discord.HTTPException) as caught:
            await act
        assert caught.value.code == code


# members, channels


async def test_a_nickname_needs_its_right(
    client: discord.Client, server: FakeDiscord, guild: Guild
) -> None:
    found = await seen(client, guild)
    await found.me.edit(nick="x" * 32)
    assert server.world.me(guild.id).nick == "x" * 32
    server.world.allow(guild, BOT & ~may.CHANGE_NICKNAME)
    with pytest.raises(discord.Forbidden) as caught:
        await found.me.edit(nick="other")
    assert code_of(caught) == (403, 50013)


async def test_a_status_needs_more_from_who_is_not_in_the_channel(
    client: discord.Client, server: FakeDiscord, guild: Guild, voice: Channel
) -> None:
    found, me = await known(client, voice), server.world.me(guild.id)
    server.world.allow(guild, BOT & ~may.MANAGE_CHANNELS)
    with pytest.raises(discord.Forbidden):
        await found.edit(status="recording")
    server.world.join(me, voice)
    await found.edit(status="recording")
    assert voice.status == "recording"
    server.world.allow(guild, BOT & ~may.SET_VOICE_STATUS)
    with pytest.raises(discord.Forbidden):
        await found.edit(status="")
    server.world.leave(me)


async def test_a_channel_is_deleted_once(
    client: discord.Client, guild: Guild, voice: Channel
) -> None:
    found = await known(client, voice)
    await found.delete()
    with pytest.raises(discord.NotFound) as caught:
        await found.delete()
    assert code_of(caught) == (404, 10003)
    with pytest.raises(discord.NotFound):
        await client.fetch_channel(voice.id)


async def test_the_bot_moves_mutes_and_disconnects_members(
    client: discord.Client, server: FakeDiscord, guild: Guild, voice: Channel
) -> None:
    ann, other = server.person(guild, "Ann"), server.world.add_voice(guild, "Other")
    server.world.allow(guild, BOT | may.MUTE_MEMBERS)
    ann.joins(voice)
    found = await seen(client, guild)
    await until(lambda: found.get_member(ann.id))
    member = found.get_member(ann.id)
    await member.edit(mute=True)
    assert ann.member.voice is not None
    assert ann.member.voice.mute
    await member.move_to(found.get_channel(other.id))
    assert ann.channel is other
    with pytest.raises(discord.Forbidden):
        await member.edit(deafen=True)
    await member.move_to(None)
    assert ann.channel is None
    with pytest.raises(discord.HTTPException) as caught:
        await member.move_to(None)
    assert caught.value.code == 40032


async def test_a_voice_state_can_be_asked_for(
    client: discord.Client, server: FakeDiscord, voice: Channel, ann: Person
) -> None:
    found = await seen(client, server.world.guilds[voice.guild_id])
    member = await found.fetch_member(ann.id)
    with pytest.raises(discord.NotFound) as caught:
        await member.fetch_voice()
    assert caught.value.code == 10065
    ann.joins(voice)
    state = await member.fetch_voice()
    assert state.channel.id == voice.id


async def test_the_bot_leaves_a_guild(
    client: discord.Client, server: FakeDiscord, guild: Guild
) -> None:
    found = await seen(client, guild)
    await found.leave()
    await until(lambda: client.get_guild(guild.id) is None)
    assert guild.id not in server.world.guilds
