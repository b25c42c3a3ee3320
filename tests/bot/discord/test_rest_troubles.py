"""Every error of Discord's REST at every step of a private room, of what is said in it
and around it, and of clean-up: whoever asked gets an answer, the database tells the
truth, and what is left goes once Discord works again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from discord_bot import in_db
from discord_troubles import TROUBLES, Scene, Trouble, in_guilds
from fakecord import permissions
from fakecord.bot import known, until
from fakecord.entities import VOICE
from fakecord.failures import Way
from fakecord.server import FakeDiscord
from pytest_django.fixtures import Settings

from bot.discord import client, panel, sweep
from bot.discord.guild import deeds, presence, rooms, undo
from bot.discord.notices import Notice, text
from bot.discord.text import answer, mirror
from bot.models import OptOut
from sessions import events
from sessions.models import State, VoiceSession

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("done_at_once"),
]

PATIENCE_S = 1.5
"""Instead of what Discord gets in earnest."""


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, names in {
        answer: ("DEFER_WITHIN_S", "SHOW_WITHIN_S", "POST_WITHIN_S"),
        presence: ("WITHIN_S",),
        rooms: ("MADE_WITHIN_S",),
        panel: ("WITHIN_S",),
        undo: ("STEP_WITHIN_S",),
        mirror: ("REQUEST_S",),
    }.items():
        for name in names:
            monkeypatch.setattr(module, name, PATIENCE_S)
    monkeypatch.setattr(panel, "AGAIN_S", (0.3,) * 50)
    monkeypatch.setattr(mirror, "AGAIN_S", 0.3)
    monkeypatch.setattr(sweep, "EVERY_S", 600.0)  # the tests sweep
    monkeypatch.setattr(undo, "SURFACES_WITHIN", timedelta(seconds=1))
    for name in ("AGAIN_AFTER", "STALE_AFTER"):
        monkeypatch.setattr(deeds, name, timedelta(0))


# --- until there is a call ------------------------------------------------------------

OPENING = {
    "acknowledgement": ("POST", "/interactions/{id}/*"),
    "answer": ("PATCH", "/webhooks/*/{token}/*"),
    "nickname": ("PATCH", "/guilds/{guild}/members/@me"),
    "room": ("POST", "/guilds/{guild}/channels"),
}
NEEDED = ("nickname", "room")


@pytest.mark.parametrize("step", OPENING)
async def test_whoever_asks_for_a_room_gets_it_or_is_told_why_not(
    server: FakeDiscord, step: str
) -> None:
    async with in_guilds(server, len(TROUBLES)) as scenes:
        await at_once(asks_in_trouble, scenes, step)


async def asks_in_trouble(scene: Scene, trouble: Trouble, step: str) -> None:
    await scene.types("voice")
    scene.fails(trouble, *OPENING[step])
    if step in NEEDED and not (trouble.is_waited_out or trouble.is_done):
        await is_excused(scene, trouble, step)
        await scene.has_ended()
    else:
        await scene.has_a_room()
        assert scene.is_running
        await scene.leaves()
    await scene.tells_the_truth()


async def is_excused(scene: Scene, trouble: Trouble, step: str) -> None:
    if trouble.name == "403" and step == "nickname":
        await scene.is_told(Notice.ERROR_NICKNAME_REFUSED)
    elif trouble.name == "403":
        lacking = text(Notice.PERM_MANAGE_CHANNELS, scene.ann.locale)
        await scene.is_told(Notice.ERROR_MISSING_PERMISSIONS, permissions=lacking)
    elif trouble.name == "429 for 600 s":
        await scene.is_told(Notice.ERROR_DISCORD_BUSY, seconds=600)
    else:
        await scene.is_told(Notice.ERROR_DISCORD_FAILED)


# --- while it goes on -----------------------------------------------------------------

TELLING = {
    "status": ("PUT", "/channels/{voice}/voice-status"),
    "panel": ("POST", "/channels/{text}/messages"),
    "greeting": ("POST", "/channels/{text}/messages"),
    "lines": ("*", "/channels/{text}/messages*"),
}


@pytest.mark.parametrize("step", TELLING)
async def test_what_only_tells_people_ends_no_call(
    server: FakeDiscord, step: str
) -> None:
    async with in_guilds(server, len(TROUBLES)) as scenes:
        await at_once(goes_on_in_trouble, scenes, step)
        server.mend()
        await at_once(ends_in_order, scenes, step)


async def goes_on_in_trouble(scene: Scene, trouble: Trouble, step: str) -> None:
    if step in ("status", "panel"):
        scene.fails(trouble, *TELLING[step])
        scene.ann.joins(scene.voice)
        await scene.types("record start")
        await scene.comes_to(State.ACTIVE)
    else:
        await scene.is_recorded()
        scene.fails(trouble, *TELLING[step])
    if step == "greeting":
        scene.server.person(scene.guild, "Bob").joins(scene.voice)
    elif step == "lines":
        await in_db(says)(await scene.session(), "good morning")
    await scene.has_met_it()
    assert scene.is_running
    channel = f"<#{scene.voice.id}>"
    await scene.is_told(Notice.RECORD_STARTED, channel=channel)


async def ends_in_order(scene: Scene, trouble: Trouble, step: str) -> None:
    is_refused = trouble.name in ("403", "404")
    if step == "panel" and not is_refused:
        await until(lambda: scene.panels)
    if step == "lines" and not is_refused and trouble.name != "429 for 600 s":
        await until(lambda: any("good morning" in m.content for m in scene.posted))
    assert scene.is_running
    await scene.leaves()
    await scene.tells_the_truth()
    assert len(scene.panels) <= 1


def says(session: VoiceSession, words: str) -> None:
    line = {"participant": "x", "name": "Ann", "start_ms": 0, "end_ms": 900}
    events.append(session.pk, "utterance", {**line, "text": words})


# --- clean-up -------------------------------------------------------------------------

CLEANING = {
    "nickname": ("PATCH", "/guilds/{guild}/members/@me"),
    "status": ("PUT", "/channels/{voice}/voice-status"),
    "room": ("DELETE", "/channels/{room}"),
    "panel": ("PATCH", "/channels/{text}/messages/*"),
}


@pytest.mark.parametrize("step", CLEANING)
async def test_what_cannot_be_undone_is_known_and_undone_later(
    server: FakeDiscord, step: str
) -> None:
    async with in_guilds(server, len(TROUBLES)) as scenes:
        await at_once(is_left_in_trouble, scenes, step)


async def is_left_in_trouble(scene: Scene, trouble: Trouble, step: str) -> None:
    if step == "room":
        await scene.types("voice")
        await scene.has_a_room()
    await scene.is_recorded()
    scene.fails(trouble, *CLEANING[step])
    await scene.leaves()
    await scene.is_concluded()
    deed = await scene.deed()
    assert deed is not None
    is_believed = trouble.name == "404" or (trouble.name == "403" and step == "panel")
    if is_believed:
        scene.believes_discord()
    elif not trouble.is_waited_out:
        left = deed.panel_id if step == "panel" else deed.undone_at is None
        assert left, trouble
    await scene.tells_the_truth()


async def at_once(
    work: Callable[[Scene, Trouble, str], Awaitable[None]],
    scenes: list[Scene],
    step: str,
) -> None:
    """Each trouble in a guild of its own."""
    pairs = zip(scenes, TROUBLES, strict=True)
    await asyncio.gather(*(_named(work, scene, one, step) for scene, one in pairs))


async def _named(
    work: Callable[[Scene, Trouble, str], Awaitable[None]],
    scene: Scene,
    trouble: Trouble,
    step: str,
) -> None:
    try:
        await work(scene, trouble, step)
    except Exception as e:
        e.add_note(f"{step}: {trouble}")
        raise


# --- rooms ----------------------------------------------------------------------------


async def test_both_rooms_go_where_discord_made_two(
    server: FakeDiscord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "MADE_WITHIN_S", 20.0)
    async with in_guilds(server) as (scene,):
        # Done, and refused all the same: discord.py asks once more.
        server.fail("POST", f"/guilds/{scene.guild.id}/channels", way="done")
        await scene.types("voice")
        await scene.has_a_room()
        assert len(scene.rooms) == 2
        await scene.leaves()
        assert not scene.rooms


async def test_a_room_that_surfaces_behind_the_excuse_goes(
    server: FakeDiscord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undo, "SURFACES_WITHIN", timedelta(seconds=60))
    async with in_guilds(server) as (scene,):
        await gets_no_room(scene)
        deed = await scene.deed()
        assert deed is not None
        assert deed.undone_at is None
        wanted = scene.failed[0].body
        server.world.add_channel(scene.guild, wanted["name"], VOICE, wanted)
        await known(scene.bot, scene.rooms[0])
        await scene.bot.sweep.once()
        assert not scene.rooms
        monkeypatch.setattr(undo, "SURFACES_WITHIN", timedelta(0))


async def test_the_next_room_is_not_taken_for_the_one_that_was_lost(
    server: FakeDiscord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undo, "SURFACES_WITHIN", timedelta(seconds=60))
    async with in_guilds(server) as (scene,):
        await gets_no_room(scene)
        await scene.types("voice")
        await scene.has_a_room()
        await scene.bot.sweep.once()
        assert scene.room
        assert scene.is_running
        await scene.leaves()
        monkeypatch.setattr(undo, "SURFACES_WITHIN", timedelta(0))


async def gets_no_room(scene: Scene) -> None:
    await scene.types("voice")
    scene.fails(Trouble("no answer", {"way": "hang"}), *OPENING["room"])
    await scene.is_told(Notice.ERROR_DISCORD_FAILED)
    await scene.has_ended()
    scene.server.mend()


async def test_a_server_with_500_channels_is_told_so(server: FakeDiscord) -> None:
    async with in_guilds(server) as (scene,):
        full = Trouble("30013", {"status": 400, "code": 30013})
        await scene.types("voice")
        scene.fails(full, *OPENING["room"])
        await scene.is_told(Notice.ERROR_TOO_MANY_CHANNELS)
        await scene.has_ended()


async def test_what_a_category_denies_is_named_in_the_language_of_who_asks(
    server: FakeDiscord, settings: Settings
) -> None:
    settings.VOICE_CATEGORY = "Rooms"
    async with in_guilds(server, 2) as (_, scene):
        assert scene.ann.locale == "it"
        category = server.world.add_category(scene.guild, "Rooms")
        me = server.world.me(scene.guild.id)
        denied = permissions.MANAGE_CHANNELS | permissions.MOVE_MEMBERS
        server.world.overwrite(category, me, deny=denied)
        await until(lambda: rooms.category_of(scene.here))
        await until(lambda: category_denies(scene))
        await scene.types("voice")
        await scene.is_told(
            Notice.ERROR_MISSING_PERMISSIONS,
            permissions="Gestisci canali, Sposta membri",
        )
        assert not await in_db(VoiceSession.objects.exists)()


def category_denies(scene: Scene) -> bool:
    category = rooms.category_of(scene.here)
    assert category is not None
    return not category.permissions_for(scene.here.me).manage_channels


async def test_a_full_category_is_passed_over(
    server: FakeDiscord, settings: Settings
) -> None:
    settings.VOICE_CATEGORY = "Rooms"
    async with in_guilds(server) as (scene,):
        category = server.world.add_category(scene.guild, "Rooms")
        parent = {"parent_id": str(category.id)}
        for _ in range(rooms.CATEGORY_MAX):
            last = server.world.add_channel(scene.guild, "full", VOICE, parent)
        await known(scene.bot, last)
        await scene.types("voice")
        await scene.has_a_room()
        await scene.leaves()


# --- worse ----------------------------------------------------------------------------


async def test_all_is_over_where_the_bot_is_thrown_out_meanwhile(
    server: FakeDiscord,
) -> None:
    async with in_guilds(server) as (scene,):
        await scene.types("voice")
        scene.fails(Trouble("no answer", {"way": "hang"}), *OPENING["room"])
        await scene.has_met_it()
        server.world.remove_guild(scene.guild)
        await scene.has_ended()


async def test_all_is_over_soon_where_discord_answers_nothing_at_all(
    server: FakeDiscord,
) -> None:
    async with in_guilds(server) as (scene,):
        await scene.types("voice")
        scene.fails(Trouble("no answer", {"way": "hang"}), "*", "*")
        await scene.comes_to(State.FAILED)
        await scene.has_ended()
        await scene.tells_the_truth()


async def test_a_deadline_within_a_global_limit_does_not_end_all_requests(
    server: FakeDiscord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "RATE_LIMIT_MAX_S", 3.0)
    limit = {"status": 429, "retry_after_s": 25, "everywhere": True, "times": 1}
    async with in_guilds(server) as (scene,):
        await scene.types("voice")
        scene.fails(Trouble("global limit", limit), *OPENING["nickname"])
        await scene.is_told(Notice.ERROR_DISCORD_FAILED)
        await scene.has_ended()
        await scene.types("voice")
        await scene.has_a_room()
        await scene.leaves()


async def test_an_answer_that_hangs_holds_up_nobody_in_the_queue(
    server: FakeDiscord, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.VOICE_MAX_ACTIVE = 1
    monkeypatch.setattr(answer, "SHOW_WITHIN_S", 600.0)
    async with in_guilds(server, 2) as (first, second):
        await first.types("voice")
        await first.has_a_room()
        await second.types("voice")
        second.fails(Trouble("no answer", {"way": "hang"}), *OPENING["answer"])
        await second.has_met_it()
        (hanging,) = (t for t in asyncio.all_tasks() if t.get_name() == "discord.tell")
        await first.leaves()
        await second.comes_to(State.WAITING)
        assert not hanging.done()
        server.mend()
        hanging.cancel()
        await second.has_a_room(waited=True)
        await second.leaves()


# --- buttons --------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["hang", "reset", "lost"])
async def test_a_button_works_also_where_its_answer_does_not(
    server: FakeDiscord, way: Way
) -> None:
    async with in_guilds(server, 2) as (stopped, left_out):
        for scene in (stopped, left_out):
            await scene.is_recorded()
        server.fail("POST", "/interactions/*", way=way, times=2)
        await left_out.presses("optout")
        await stopped.presses("stop")
        await stopped.has_ended()
        wanted = OptOut.objects.filter(user_id=str(left_out.ann.id))
        await left_out.becomes(lambda _: wanted.exists())
        server.mend()
        await left_out.leaves()
