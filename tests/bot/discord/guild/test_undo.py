"""What a call put on in a guild comes off again, and nobody else's doing does."""

from __future__ import annotations

from collections.abc import AsyncIterator

import discord_ends as ends
import discord_scenes as stage
import pytest
from discord_bot import in_db, running
from discord_scenes import NICK, Case, Scene
from fakecord import permissions
from fakecord.server import FakeDiscord
from fakecord.world import BOT
from scene import eventually

from bot.discord.guild import deeds
from bot.discord.guild.presence import MARK
from bot.models import DiscordCall

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("done_at_once"),
]
CALLED_IN = Case(is_room=False, record=True)


@pytest.fixture
async def far() -> AsyncIterator[FakeDiscord]:
    """A Discord whose gateway says everything late: REST is faster."""
    async with FakeDiscord(latency_s=0.4) as server:
        yield server


@pytest.fixture
def scene(server: FakeDiscord) -> Scene:
    return stage.a_scene(server, CALLED_IN)


def nick(scene: Scene) -> str:
    return scene.server.world.me(scene.guild.id).nick or ""


async def is_asked_for(scene: Scene) -> None:
    """Until its sign is on."""
    assert scene.bot
    await stage.asks(scene, scene.bot)
    await eventually(lambda: nick(scene).startswith(MARK))


async def ends_once(scene: Scene) -> None:
    assert scene.bot
    await scene.bot.operator.end(scene.call, "stopped")
    await eventually(lambda: not scene.has_call)


async def test_a_name_that_somebody_gave_us_meanwhile_stays(scene: Scene) -> None:
    async with running(scene.server) as bot:
        await stage.runs(scene, bot, speaks=False)
        scene.mod.nicknames(scene.mod.bot, "Mole")
        guild = bot.get_guild(scene.guild.id)
        await eventually(lambda: guild and guild.me.nick == "Mole")
        await ends_once(scene)
        assert nick(scene) == "Mole"


async def test_our_name_comes_back_where_the_gateway_has_not_said_it_was_changed(
    far: FakeDiscord,
) -> None:
    scene = stage.a_scene(far, CALLED_IN)
    async with running(far) as bot:
        scene.bot = bot
        await is_asked_for(scene)
        await ends_once(scene)
        assert nick(scene) == NICK


async def test_our_name_comes_back_after_a_call_that_followed_at_once(
    far: FakeDiscord,
) -> None:
    scene = stage.a_scene(far, CALLED_IN)
    async with running(far) as bot:
        scene.bot = bot
        await is_asked_for(scene)
        guild = bot.get_guild(scene.guild.id)
        await eventually(lambda: guild and guild.me.nick != NICK)
        await ends_once(scene)
        # What discord.py has of our name is still the sign of the call before.
        await is_asked_for(scene)
        await ends_once(scene)
        assert nick(scene) == NICK


async def test_a_sign_that_was_left_is_the_next_calls(scene: Scene) -> None:
    mine = f"/guilds/{scene.guild.id}/members/@me"
    async with running(scene.server) as bot:
        await stage.runs(scene, bot, speaks=False)
        scene.server.fail("PATCH", mine, status=403, code=50013)
        await ends_once(scene)
        assert nick(scene).startswith(MARK)
        await is_asked_for(scene)
        await eventually(lambda: scene.has_begun)
        await in_db(deeds.due_now)(await orphans())
        await bot.sweep.once()
        assert nick(scene).startswith(MARK)
        await ends_once(scene)
        assert nick(scene) == NICK
        assert await orphans() == []


async def orphans() -> list[int]:
    left = DiscordCall.objects.filter(undone_at=None)
    return await in_db(lambda: list(left.values_list("pk", flat=True)))()


async def test_the_status_goes_where_we_could_not_take_it_off_from_outside(
    scene: Scene,
) -> None:
    scene.mod.allows_the_bot(BOT & ~permissions.MANAGE_CHANNELS)
    async with running(scene.server) as bot:
        await stage.runs(scene, bot, speaks=False)
        await ends_once(scene)
        assert scene.voice.status == ""
        assert await orphans() == []


async def test_a_room_that_was_not_asked_for_is_not_looked_for(
    server: FakeDiscord,
) -> None:
    scene = stage.a_scene(server, Case(is_room=True, record=True))
    mine = f"/guilds/{scene.guild.id}/members/@me"
    server.fail("PATCH", mine, status=403, code=50013)
    async with running(server) as bot:
        scene.reasons = {"nickname_refused"}
        await stage.asks(scene, bot)
        await ends.nothing_is_left([scene])
        assert not server.asked("POST", "/guilds/*/channels")


async def test_who_is_thrown_out_has_no_name_to_give_back(scene: Scene) -> None:
    async with running(scene.server) as bot:
        await stage.runs(scene, bot, speaks=False)
        await ends.end(scene, ends.thrown_out)
        await ends.nothing_is_left([scene])
        assert await orphans() == []
