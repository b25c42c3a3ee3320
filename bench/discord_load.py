"""Discord: many members who speak in many guilds, before one bot process.

The bot is `manage.py runbot --only discord` as in production: it records, and detects
speech; TTS is off. The test Discord, with all members in it as real DAVE sessions, is
another process: this one. Members talk like people do, each a little more than a
quarter of the time, for 1 to 6 seconds on end.

    lost          packets that were sent and stand in nobody's recording
    misplaced     how far from its place, among those of its call, a packet stands
    loop lag      how late what was due in the bot's loop began, in its worst minute
    heartbeats    how far apart they came, of both gateways

Targets: 200 members in 20 guilds, nothing lost, a lag below 50 ms for 99 of 100, no
heartbeat late.

`python bench/discord_load.py --members 200 --guilds 20 --seconds 60`. With `--redis`
the processes of the installation talk over one, as large installations have it. With
`--core 0` the bot has this core alone, the generator the others: its threads hand the
interpreter to each other, which between two cores costs more than it gains. What other
processes took of the machine meanwhile is printed, too.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import re
import sys
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceproject.settings")
import django

django.setup()

import numpy as np
from fakecord.entities import TEXT, VOICE, Channel, Guild
from fakecord.gateway import HEARTBEAT_S as MAIN_BEAT_S
from fakecord.people import Person
from fakecord.rtp import FRAME, RATE
from fakecord.server import FakeDiscord
from fakecord.voicegateway import HEARTBEAT as VOICE_BEAT
from fakecord.voicegateway import HEARTBEAT_S as VOICE_BEAT_S
from scene import eventually
from stack import free_port, redis_server

from bench._crowd import FRAME_S, Crowd, Sent, Speaker
from bench._machine import busy_s
from bench._process import Process
from sessions.audio.journal import Journal

BEAT_S = 5.0
"""Of the main gateway here, for more of them in a minute."""
LAG_MS = 50.0
LATE_S = 1.0
"""A heartbeat that comes so much behind its interval is late."""
WINDOW_S = 60.0
"""Of what the bot tells of its lag."""
SETTLE_S = 2.0
STOP_S = 60.0
"""Until a bot that was behind has written everything down."""
NUMBERS = re.compile(r"[0-9]+")
"""By which one complaint differs from the next of its kind."""
KEYS = """
import json
from sessions.models import Participant
print(json.dumps(dict(Participant.objects.values_list("pk", "key"))))
"""
FIGURES = """
import json
from sessions.models import VoiceSession
noted = VoiceSession.objects.filter(figures__isnull=False)
print(json.dumps(list(noted.values_list("figures", flat=True))))
"""


def on_discord(server: FakeDiscord) -> dict[str, str]:
    """The settings of a bot process that finds the test Discord."""
    connector = "fakecord.connector.from_environment"
    token = {"DISCORD_TOKEN": server.token, "DISCORD_CONNECTOR": connector}
    return token | server.env


class Bot(Process):
    """The bot's process alone: nobody looks at pages, nothing is written down."""

    def __init__(
        self, server: FakeDiscord, *, core: int | None = None, **env: str
    ) -> None:
        self.health_port = free_port()
        port = {"BOT_HEALTH_PORT": str(self.health_port)}
        super().__init__("bot", core=core, **port, **on_discord(server), **env)

    def state(self) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.health_port}/health"
        with urllib.request.urlopen(url, timeout=20) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def thrown_away(self, ports: set[int]) -> int:
        """Packets for which its sockets had no room."""
        rows = Path(f"/proc/{self.pid}/net/udp").read_text().splitlines()[1:]
        found = [row.split() for row in rows]
        return sum(int(r[-1]) for r in found if int(r[1].split(":")[1], 16) in ports)


class Beats:
    """When heartbeats came, by their sender."""

    def __init__(self) -> None:
        self._at: dict[int, list[float]] = {}

    def came(self, sender: object) -> None:
        self._at.setdefault(id(sender), []).append(time.monotonic())

    @property
    def apart_s(self) -> list[float]:
        """From each to the next of the same sender."""
        return [float(gap) for at in self._at.values() for gap in np.diff(at)]


def watch_beats(server: FakeDiscord) -> tuple[Beats, Beats]:
    """Those of the main gateway, and of the voice gateway."""
    main, voice = Beats(), Beats()
    take, take_voice = server.gateway._take, server.voice._take

    def taken(line: Any, session: Any, message: Any) -> Any:
        if message["op"] == 1:
            main.came(line)
        return take(line, session, message)

    def taken_voice(connection: Any, op: int, data: Any) -> None:
        if op == VOICE_BEAT:
            voice.came(connection)
        take_voice(connection, op, data)

    server.gateway._take = taken  # type: ignore[method-assign]
    server.voice._take = taken_voice  # type: ignore[method-assign]
    return main, voice


@dataclass(slots=True)
class Call:
    """One guild with its voice channel, and who sits in it."""

    guild: Guild
    people: list[Person]

    def channel(self, type_: int) -> Channel:
        return next(one for one in self.guild.channels.values() if one.type == type_)


@dataclass(slots=True)
class Found:
    """What came of it."""

    sent: Sent
    lags: list[dict[str, float]] = field(default_factory=list)
    cpu: float = 0.0
    """Of one core."""
    others: float = 0.0
    """The same of all other processes."""
    metrics: list[dict[str, Any]] = field(default_factory=list)
    recorded: int = 0
    misplaced_ms: list[float] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)
    """Speakers of whom something is missing."""


# --- the crowd comes, speaks and goes -------------------------------------------------


async def arrive(server: FakeDiscord, guilds: int, members: int) -> list[Call]:
    calls = []
    for number in range(guilds):
        guild = server.world.add_guild(f"Guild {number}")
        server.world.add_text(guild)
        count = members // guilds + (number < members % guilds)
        people = [server.person(guild, f"Member-{n}") for n in range(count)]
        call = Call(guild, people)
        server.world.add_voice(guild)
        for person in people:
            person.listens = False
            person.joins(call.channel(VOICE))
        calls.append(call)
    return calls


async def begin(server: FakeDiscord, calls: list[Call], crowd: Crowd) -> None:
    """The bot into every channel, and everything sealed that will be said there."""
    for call in calls:
        first = call.people[0]
        asked = await first.types(call.channel(TEXT), "record start", within_s=20)
        await asked.shown()
    for call in calls:
        for person in call.people:
            await person.secured(with_whom=server.world.bot.id, within_s=60)
        group = server.voice.room(call.channel(VOICE).id).delivery
        await eventually(partial(getattr, group, "settled"))
    for call in calls:
        (connection,) = server.voice.live(call.channel(VOICE).id)
        for person in call.people:
            await crowd.prepare(person, connection)


async def end(bot: Bot, calls: list[Call]) -> list[dict[str, Any]]:
    """The bot out again; what it says of each call."""
    for call in calls:
        await call.people[0].types(call.channel(TEXT), "record stop", within_s=60)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        told: list[dict[str, Any]] = json.loads(
            await asyncio.to_thread(bot.manage, "shell", "-v0", "-c", FIGURES)
        )
        if len(told) == len(calls):
            return told
    raise TimeoutError("not every call has told its figures")


async def watch_lag(bot: Bot, found: Found, seconds: float) -> None:
    """At the end of each minute of it."""
    while seconds > 0:
        await asyncio.sleep(min(WINDOW_S, seconds))
        seconds -= WINDOW_S
        found.lags.append((await asyncio.to_thread(bot.state))["loop"])


async def converse(
    server: FakeDiscord, bot: Bot, calls: list[Call], crowd: Crowd, seconds: float
) -> Found:
    await eventually(lambda: "discord.ready" in bot.log("bot"), within_s=60)
    await begin(server, calls, crowd)
    await asyncio.sleep(SETTLE_S)
    found, began = Found(Sent()), time.monotonic()
    cpu_s, all_s = bot.cpu_s(), busy_s()
    watching = asyncio.create_task(watch_lag(bot, found, seconds))
    found.sent = await crowd.speak()
    took_s = time.monotonic() - began
    cpu_s, all_s = bot.cpu_s() - cpu_s, busy_s() - all_s
    found.cpu = cpu_s / took_s
    found.others = (all_s - cpu_s - found.sent.cpu_s) / took_s
    await watching
    await asyncio.sleep(SETTLE_S)
    ports = {one.address[1] for one in server.voice.connections if one.address}
    print(
        f"bot: {found.cpu:.2f} of a core; memory {bot.memory_mb('VmRSS'):.0f} MB, "
        f"{bot.memory_mb('VmHWM'):.0f} at most; {bot.thrown_away(ports)} packets for "
        "which its sockets had no room"
    )
    found.metrics = await end(bot, calls)
    await asyncio.sleep(SETTLE_S)
    return found


# --- what was recorded ----------------------------------------------------------------


def read_recordings(bot: Bot, crowd: Crowd, found: Found) -> None:
    """Every packet that was sent against the journals, in order."""
    keys = json.loads(bot.manage("shell", "-v0", "-c", KEYS).strip())
    placed: dict[str, list[tuple[int, int]]] = {}
    for path in sorted((bot.folder / "spool").glob("*/*/journal")):
        with path.open("rb") as file:
            journal = Journal(file)
            mine = placed.setdefault(keys[str(journal.head.participant_pk)], [])
            mine += [(one.position, len(one.pcm)) for one in journal.placed()]
    offsets: dict[int, list[float]] = {}
    for speaker in crowd.speakers:
        mine = placed.get(f"discord:{speaker.person.id}", [])
        recorded = sum(samples for _, samples in mine)
        found.recorded += recorded
        if recorded != (sent := len(speaker.frames) * FRAME):
            found.lacking.append(
                f"{speaker.person.id}: {(sent - recorded) / FRAME:.1f} of "
                f"{len(speaker.frames)} packets, in {len(mine)} pieces"
            )
        if len(mine) == len(speaker.frames):
            theirs = offsets.setdefault(speaker.person.member.guild_id, [])
            theirs += _offsets(speaker, mine)
    for of_call in offsets.values():
        away = np.array(of_call) - np.median(of_call)
        found.misplaced_ms += list(np.abs(away) * 1000)


def _offsets(speaker: Speaker, placed: list[tuple[int, int]]) -> list[float]:
    """How far each stands from when it was due; the call's beginning is in it."""
    return [
        (position + samples) / RATE - due_s - FRAME_S
        for (position, samples), due_s in zip(placed, speaker.due_s, strict=True)
    ]


# --- what is printed ------------------------------------------------------------------


def report(
    found: Found, crowd: Crowd, calls: list[Call], beats: tuple[Beats, Beats]
) -> bool:
    sent, late = found.sent, np.array(found.sent.late_s) * 1000
    people = len(crowd.speakers)
    print(
        f"{people} members in {len(calls)} guilds, {sent.took_s:.0f} s: each talks "
        f"{crowd.talk_share:.0%} of the time\n"
        f"generator: {sent.cpu_s / sent.took_s:.2f} of a core; late p50 "
        f"{np.percentile(late, 50):.1f}, p99 {np.percentile(late, 99):.1f}, worst "
        f"{late.max():.0f} ms; all others: {found.others:.2f}"
    )
    total: Counter[str] = Counter()
    for line in found.metrics:
        total.update({k: v for k, v in line.items() if isinstance(v, int)})
    voiced = sum(one.voiced for one in crowd.speakers)
    lost = sent.packets - found.recorded / FRAME
    print(
        f"packets: {sent.packets} sent, {total['packets']} received; {voiced} of them "
        f"encrypted end to end, {total['decrypted']} opened\n"
        f"recorded: {found.recorded} samples of {sent.packets * FRAME}: "
        f"{lost:.1f} packets lost (target: 0)"
    )
    for one in found.lacking:
        print(f"  of {one}")
    if found.misplaced_ms:
        away = np.array(found.misplaced_ms)
        print(
            f"misplaced: p50 {np.percentile(away, 50):.1f}, p99 "
            f"{np.percentile(away, 99):.1f}, at most {away.max():.1f} ms"
        )
    p50, lag, worst = (
        max(one[f"lag_{what}_ms"] for one in found.lags)
        for what in ("p50", "p99", "max")
    )
    print(
        f"loop lag: p50 {p50:.1f}, p99 {lag:.1f} (target: {LAG_MS:.0f}), "
        f"worst {worst:.0f} ms"
    )
    waits = [one["waited_s"] for one in found.metrics]
    print(f"until a packet was taken in: {max(waits):.2f} s at most")
    main, voice = beats[0].apart_s, beats[1].apart_s
    joins = [one["join_s"] for one in found.metrics if one["join_s"] is not None]
    print(
        f"heartbeats: {len(main)} of the main gateway, asked for every {BEAT_S} s "
        f"({MAIN_BEAT_S} at Discord), at most {max(main):.3f} s apart; {len(voice)} of "
        f"voice, every {VOICE_BEAT_S} s, at most {max(voice, default=0):.3f} s\n"
        f"reconnects: {total['reconnects']}; to the room: {max(joins):.2f} s at most"
    )
    is_punctual = max(main) < BEAT_S + LATE_S
    is_punctual &= max(voice, default=0) < VOICE_BEAT_S + LATE_S
    return lost == 0 and lag < LAG_MS and is_punctual


def complain(bot: Bot) -> None:
    """What the bot itself complained of, and how often."""
    found: Counter[str] = Counter()
    for line in bot.log("bot").splitlines():
        if any(level in line.lower() for level in ("warning", "error", "critical")):
            found[NUMBERS.sub("", line)[:120]] += 1
    for line, count in found.most_common(10):
        print(f"  {count} x {line}")


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--members", type=int, default=200)
    asked.add_argument("--guilds", type=int, default=20)
    asked.add_argument("--seconds", type=float, default=60.0)
    asked.add_argument("--share", type=float, default=0.27, help="of talk")
    asked.add_argument("--redis", action="store_true")
    asked.add_argument("--core", type=int)
    how = asked.parse_args()
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    server = FakeDiscord()
    server.gateway.heartbeat_s = BEAT_S
    beats = watch_beats(server)
    crowd = Crowd(seconds=how.seconds, share=how.share)
    with contextlib.ExitStack() as parts:
        env = {"REDIS_URL": parts.enter_context(redis_server())} if how.redis else {}
        runner = parts.enter_context(asyncio.Runner())
        runner.run(server.__aenter__())
        calls = runner.run(arrive(server, how.guilds, how.members))
        bot = Bot(server, core=how.core, **env)
        with bot:
            try:
                found = runner.run(converse(server, bot, calls, crowd, how.seconds))
            except BaseException:
                print(bot.log("bot")[-3000:])
                raise
            took_s = bot.ends(within_s=STOP_S)
            print(f"stopped in {took_s:.1f} s")
            read_recordings(bot, crowd, found)
            holds = report(found, crowd, calls, beats)
            complain(bot)
        runner.run(server.__aexit__())
    print("holds" if holds else "does not hold")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
