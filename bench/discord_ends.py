"""The end of Discord calls: two ways at once, many times; and how long people wait.

    pairs     each two of the ways to end a call, at once
    begins    each way, while the call begins
    timers    a user who comes in the moment their time is up
    stops     each way, while the process is asked to end (SIGTERM)
    kills     each way, while the process is killed; then the next one starts
    figures   command to bot in the room, trigger to room gone, and the timer of 60 s

After each race nothing may be left, and each end is one end; what is looked at is in
tests/discord_ends.py. Prints how many races of a kind held, and what was left of the
others. The test Discord takes 20 ms for everything it says and answers.

`python bench/discord_ends.py` takes an hour and a half; with the names of parts, those
alone; with a number, so many races of each kind instead of a hundred.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ["DJANGO_SETTINGS_MODULE"] = "settings_for_tests"

import django

django.setup()

import discord_ends as ends
import discord_races as races
import discord_scenes as stage
from discord_bot import running
from discord_ends import IN_ONE_GUILD, Way
from discord_races import MORTAL
from discord_scenes import CASES, ROOMS, Scene, in_db
from django.conf import settings
from django.core.management import call_command
from fakecord.server import FakeDiscord
from fakecord.world import Event, Moved
from scene import eventually

from bot.discord.client import ParleyBot
from sessions import finish, lifecycle
from sessions.models import State

SEED = 20_261_121
RACES, AT_ONCE = 100, 10
OFFSET_S = 0.05
LATE_S = 0.08
"""Around the moment; their word takes 20 ms, and we look every 10 ms."""
REST_S = 0.02
CALLS = 60


class Tally:
    """How many races held, and what was left of the others."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.held: Counter[str] = Counter()
        self.broken: Counter[str] = Counter()

    def batches(self) -> Iterator[int]:
        """So many races at once, until there were enough."""
        for done in range(0, self.count, AT_ONCE):
            yield min(AT_ONCE, self.count - done)

    async def take(
        self, kind: str, scenes: list[Scene], *raced: Awaitable[object]
    ) -> None:
        """Wait for the races, and look what is left of the calls."""
        try:
            await asyncio.gather(*raced)
            await ends.nothing_is_left(scenes)
        except (AssertionError, TimeoutError) as e:
            states = [(await scene.row()).state for scene in scenes]
            print(f"  BROKEN {kind}: {type(e).__name__} {e} {states}", flush=True)
            self.broken[kind] += len(scenes)
        else:
            self.held[kind] += len(scenes)
        for scene in scenes:
            if scene.guild.id in scene.server.world.guilds:
                scene.server.world.remove_guild(scene.guild)

        if self.held[kind] + self.broken[kind] >= self.count:
            self.show(kind, self.held[kind], self.broken[kind])

    def show(self, kind: str, held: int, broken: int) -> None:
        print(f"  {kind:48} {held:5} held {broken:5} broken", flush=True)


@asynccontextmanager
async def a_discord() -> AsyncIterator[FakeDiscord]:
    """A new one, for few calls: a bot may say 120 things a minute to its gateway. With
    nothing in the database, and a folder of its own for lines and figures."""
    await in_db(call_command)("flush", interactive=False, verbosity=0)
    with tempfile.TemporaryDirectory() as folder:
        settings.LOGS_DIR = Path(folder)
        async with FakeDiscord() as server:
            yield server


def some_scenes(server: FakeDiscord, chance: random.Random, count: int) -> list[Scene]:
    return [stage.a_scene(server, chance.choice(CASES)) for _ in range(count)]


def soon(chance: random.Random) -> float:
    return chance.uniform(0, OFFSET_S)


# --- races ----------------------------------------------------------------------------


async def pairs(tally: Tally) -> None:
    for number, (one, other) in enumerate(combinations(IN_ONE_GUILD, 2)):
        chance = random.Random(SEED + number)
        for count in tally.batches():
            async with a_discord() as server, running(server) as bot:
                scenes = some_scenes(server, chance, count)
                await stage.run_all(scenes, bot)
                raced = (
                    ends.end(scene, one, other, offsets_s=[soon(chance), soon(chance)])
                    for scene in scenes
                )
                await tally.take(f"{one.__name__} + {other.__name__}", scenes, *raced)


async def begins(tally: Tally) -> None:
    for number, way in enumerate(IN_ONE_GUILD):
        chance = random.Random(SEED + number)
        for count in tally.batches():
            async with a_discord() as server, running(server) as bot:
                scenes = some_scenes(server, chance, count)
                raced = (
                    races.end_early(scene, bot, way, wait_s=chance.uniform(0, 1.5))
                    for scene in scenes
                )
                await tally.take(f"begin + {way.__name__}", scenes, *raced)


async def timers(tally: Tally) -> None:
    settings.VOICE_TIMEOUT = 2.0
    chance = random.Random(SEED)
    reasons: Counter[str] = Counter()
    for count in tally.batches():
        async with a_discord() as server, running(server) as bot:
            cases = chance.choices(ROOMS, k=count)
            scenes = [stage.a_scene(server, case) for case in cases]
            raced = (
                races.comes_late(scene, bot, chance.uniform(-LATE_S, LATE_S) - 0.04)
                for scene in scenes
            )
            await tally.take("join + join_timeout", scenes, *raced)
            for scene in scenes:
                reasons[(await scene.row()).end_reason] += 1
    print(f"  they ended by: {dict(reasons)}")


async def stops(tally: Tally) -> None:
    for number, way in enumerate(IN_ONE_GUILD):
        chance = random.Random(SEED + number)
        for count in tally.batches():
            async with a_discord() as server, running(server) as bot:
                scenes = some_scenes(server, chance, count)
                await stage.run_all(scenes, bot)
                for scene in scenes:
                    scene.reasons.add(ends.REASONS[ends.shut_down])
                raced = [
                    ends.end(scene, way, offsets_s=[soon(chance)]) for scene in scenes
                ]
                stop = ends.end(scenes[0], ends.shut_down, offsets_s=[soon(chance)])
                await tally.take(f"shut_down + {way.__name__}", scenes, *raced, stop)


async def kills(tally: Tally) -> None:
    """Each way in a process of its own: what was killed here stays in memory."""
    for way in MORTAL:
        words = (__file__, f"kills.{way.__name__}", str(tally.count))
        process = await asyncio.create_subprocess_exec(sys.executable, *words)
        done = "broken" if await process.wait() else "held"
        getattr(tally, done)[way.__name__] += tally.count


async def killed(tally: Tally, way: Way) -> None:
    chance = random.Random(SEED + MORTAL.index(way))
    for count in tally.batches():
        async with a_discord() as server:
            scenes = some_scenes(server, chance, count)
            ways = [way] * len(scenes)
            await races.end_in_death(
                scenes, server, ways, chance=chance, within_s=OFFSET_S * 4
            )
            async with running(server) as bot:
                rest = races.end_after_death(scenes, bot)
                await tally.take(f"killed + {way.__name__}", scenes, rest)


# --- figures --------------------------------------------------------------------------

TRIGGERS: tuple[Way, ...] = (
    ends.everybody_leaves,
    ends.leave_command,
    ends.stop_button,
    ends.kicked,
    ends.nobody_speaks,
)


class Stopwatch:
    """When the bot came into a guild's voice, and when a channel of it went; on the
    clock of `time.monotonic`."""

    def __init__(self, server: FakeDiscord) -> None:
        self.came: dict[int, float] = {}
        self.gone: dict[int, float] = {}
        self._bot = server.world.bot.id
        server.world.on_moved.append(self._moved)
        server.world.on_event.append(self._told)

    def _moved(self, moved: Moved) -> None:
        if moved.member.id == self._bot and moved.after is not None:
            self.came.setdefault(moved.member.guild_id, time.monotonic())

    def _told(self, event: Event) -> None:
        if event.name == "CHANNEL_DELETE":
            self.gone[int(event.data["guild_id"])] = time.monotonic()


async def figures(tally: Tally) -> None:
    joined, heard = list[float](), list[float]()
    gone: dict[str, list[float]] = {way.__name__: [] for way in TRIGGERS}
    for _ in range(0, max(CALLS, tally.count), AT_ONCE):
        async with a_discord() as server, running(server) as bot:
            server.fail("*", "*", way="slow", after_s=REST_S, times=sys.maxsize)
            watch = Stopwatch(server)
            for number in range(AT_ONCE):
                way = TRIGGERS[number % len(TRIGGERS)]
                scene, asked_at, ended_at = await measured(tally, server, bot, way)
                joined.append(watch.came[scene.guild.id] - asked_at)
                gone[way.__name__].append(watch.gone[scene.guild.id] - ended_at)
                heard.append(ends.figures_of(scene.session)[0]["join_s"])
    late = await timed_out(tally)
    show("command to bot in the room (target p95 < 2 s)", joined)
    show("command to bot that hears", heard)
    every = [seconds for took in gone.values() for seconds in took]
    show("trigger to room gone (target p95 < 1 s)", every)
    for name, took in gone.items():
        show(f"  {name}", took)
    show("the timer of 60 s: room gone behind it", late)


async def measured(
    tally: Tally, server: FakeDiscord, bot: ParleyBot, way: Way
) -> tuple[Scene, float, float]:
    """A room from the command to its end by some way, and when both were."""
    scene = stage.a_scene(server, ROOMS[0])
    scene.bot = bot
    await eventually(lambda: bot.get_guild(scene.guild.id))
    asked_at = time.monotonic()
    await scene.ann.types(scene.text, "voice")
    await stage.comes_into_the_room(scene)
    await asyncio.sleep(0.5)
    ended_at = time.monotonic()
    await ends.end(scene, way)
    await tally.take("measured", [scene])
    return scene, asked_at, ended_at


async def timed_out(tally: Tally) -> list[float]:
    """How long behind the 60 s rooms went to which nobody came."""
    settings.VOICE_TIMEOUT = 60.0
    over: dict[int, float] = {}
    async with a_discord() as server, running(server) as bot:
        watch = Stopwatch(server)
        scenes = [stage.a_scene(server, ROOMS[0]) for _ in range(AT_ONCE)]
        for scene in scenes:
            scene.reasons.add("join_timeout")
            await stage.waits(scene, bot)
            over[scene.guild.id] = time.monotonic() + settings.VOICE_TIMEOUT
        await asyncio.sleep(settings.VOICE_TIMEOUT + 1.0)
        await tally.take("60 s", scenes)
    return [watch.gone[guild] - at for guild, at in over.items()]


def show(what: str, seconds: list[float]) -> None:
    cuts = statistics.quantiles(seconds, n=20, method="inclusive")
    p50, p95, most = (1000 * s for s in (cuts[9], cuts[18], max(seconds)))
    print(f"  {what:48} p50 {p50:5.0f}  p95 {p95:5.0f}  max {most:5.0f} ms", end="")
    print(f"  of {len(seconds)}")


Part = Callable[[Tally], Coroutine[Any, Any, None]]
PARTS: dict[str, Part] = {
    part.__name__: part for part in (pairs, begins, timers, stops, kills, figures)
}
CHILDREN: dict[str, Part] = {
    f"kills.{way.__name__}": partial(killed, way=way) for way in MORTAL
}


def prepare() -> None:
    logging.disable()
    settings.SPOOL_DIR = Path(os.environ["DATA_DIR"]) / "spool"
    settings.TTS = "none"
    call_command("migrate", verbosity=0)
    finish.ring = finished  # the worker's part


def finished(session_id: int) -> None:
    lifecycle.advance(session_id, State.READY)


def main() -> None:
    parts = PARTS | CHILDREN
    names = [one for one in sys.argv[1:] if one in parts] or list(PARTS)
    counts = [int(one) for one in sys.argv[1:] if one.isdecimal()] or [RACES]
    prepare()
    broken = 0
    for name in names:
        tally, began = Tally(counts[0]), time.monotonic()
        if name in PARTS:
            print(name, flush=True)
        asyncio.run(parts[name](tally))
        broken += tally.broken.total()
        if name in CHILDREN:
            break
        tally.show("all", tally.held.total(), tally.broken.total())
        print(f"  took {time.monotonic() - began:.0f} s", flush=True)
    # Not `exit`: Python would tidy up what a killed bot left, and run more of it.
    os._exit(1 if broken else 0)


if __name__ == "__main__":
    main()
