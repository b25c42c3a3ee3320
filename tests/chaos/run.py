"""A run: people talk, things break, and everything is counted."""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import boto3
import numpy as np
from fakecord.entities import TEXT, VOICE
from fakecord.server import FakeDiscord
from numpy.typing import NDArray

from chaos import faults as all_kinds
from chaos import verdict
from chaos.faults import CARRIES
from chaos.people import Browser, Member, Telephone, Track
from chaos.script import Script, script
from chaos.services import BUCKET
from chaos.town import Down, Town, town
from chaos.verdict import Found, Take

PHONE, PAGE, DISCORD = 8_000, 16_000, 48_000
DISK_MB_A_MINUTE = 4
"""Of one voice: journal, chunks, what is made of them."""
LEAST_DISK_MB = 300
SETTLE_S = 5.0
ROADS = frozenset(CARRIES.values())
LOOK_S, LATE_S = 0.01, 0.02
"""Whoever talks is looked at so often; so late, what they send tells nothing."""
QUIET_S = 10.0
"""Behind the last fault people talk on for so long."""
END_S = 600.0
MP3_FRAME, MP3_FRAME_MS = 1152, 24.0
"""How far sound may stand from the truth: samples in a master, beside its tracks; and
milliseconds in a track, beside what was spoken."""
WRONG_WORDS_MOST = 0.03
"""The small model alone has half a percent of these phrases wrong."""
LOGS = Path("chaos-logs")
"""Where the processes' logs of the last run are kept, and sound that has holes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How large a run is."""

    browsers: int
    phones: int
    members: int
    seconds: float
    faults: int
    seed: int = 1
    step_clock: bool = False
    orphans_after_s: float = 60.0
    """Behind the last word: then nothing may be left."""
    only: str = ""
    """Kinds of faults whose names hold one of these, `|` between them."""


@dataclass
class Outcome:
    """What a run showed."""

    plan: Plan
    faults: Counter[str] = field(default_factory=Counter)
    found: list[Found] = field(default_factory=list)
    bad_holes: list[verdict.Hole] = field(default_factory=list)
    off_master: list[int] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    errors: list[dict[str, Any]] = field(default_factory=list)
    orphans: str = ""
    began: float = 0.0
    restarted: list[str] = field(default_factory=list)
    """Processes that ended by themselves, and were started again."""
    late: list[str] = field(default_factory=list)
    """Processes that did not stop by themselves."""
    ready_s: float = 0.0
    """Behind the end of the talks, until the last session was ready."""

    @property
    def lost(self) -> list[str]:
        return [one for track in self.found for one in track.lost]

    @property
    def doubled(self) -> list[str]:
        return [one for track in self.found for one in track.doubled]

    @property
    def invented(self) -> list[str]:
        return [one for track in self.found for one in track.invented]

    @property
    def wrong_words(self) -> float:
        """Share of what was said in phrases that were received whole."""
        errors = sum(track.word_errors for track in self.found)
        return errors / max(sum(track.words for track in self.found), 1)

    @property
    def failings(self) -> list[str]:
        """What is not as it has to be."""
        off_master = max(map(abs, self.off_master), default=0)
        states = set(self.states) - {"ready"}
        rows = set(self.rows) - {"done", "empty"}  # half a word that a hole left
        checks = {
            f"holes that nothing excuses: {self.bad_holes}": self.bad_holes,
            f"lines lost: {self.lost}": self.lost,
            f"lines doubled: {self.doubled}": self.doubled,
            f"lines that nobody said: {self.invented}": self.invented,
            f"wrong words: {self.wrong_words:.1%}": (
                self.wrong_words > WRONG_WORDS_MOST
            ),
            f"sessions that are not ready: {states}": states,
            f"lines that wait or were given up: {rows}": rows,
            f"files that wait or were given up: {self.errors}": self.errors,
            f"left behind: {self.orphans}": "agree" not in self.orphans,
            f"did not stop by themselves: {self.late}": self.late,
            f"astray: {self.astray_ms.max():.1f} ms": (
                self.astray_ms.max() > MP3_FRAME_MS
            ),
            f"master astray: {off_master} samples": off_master > MP3_FRAME,
        }
        return [told for told, is_bad in checks.items() if is_bad]

    @property
    def disturbed_ms(self) -> NDArray[np.float64]:
        rows = (f.disturbed_ms for f in self.found)
        return np.abs(np.concatenate([np.zeros(1), *rows]))

    @property
    def astray_ms(self) -> NDArray[np.float64]:
        return np.abs(np.concatenate([np.zeros(1), *(f.astray_ms for f in self.found)]))


async def run(plan: Plan, discord: FakeDiscord, town_: Town) -> Outcome:
    """Everything, up to the verdict."""
    outcome = Outcome(plan)
    for name in town_.words:
        await asyncio.to_thread(town_.until_ready, name)
    nodes = [town_.cables.ports[name] for name in ("web_a", "web_b")]
    pages = [town_.stack.new_session(title=f"page {n}") for n in range(2)]
    numbers = itertools.count()

    def spoken(kind: str, count: int, rate: int) -> list[Script]:
        return [
            script(next(numbers), name=f"{kind} {n}", rate=rate, seconds=plan.seconds)
            for n in range(count)
        ]

    browsers = [
        Browser(one, _addresses(pages[n % 2], nodes if n % 4 < 2 else nodes[::-1]))
        for n, one in enumerate(spoken("Page", plan.browsers, PAGE))
    ]
    phones = [
        Telephone(one, [town_.cables.ports[name] for name in ("phone_a", "phone_b")])
        for one in spoken("Phone", plan.phones, PHONE)
    ]
    channels = list(discord.world.guilds.values())
    members = [
        Member(one, discord.person(channels[n % len(channels)], one.name))
        for n, one in enumerate(spoken("Member", plan.members, DISCORD))
    ]
    for number, member in enumerate(members):
        guild = channels[number % len(channels)]
        member.person.listens = False
        member.person.joins(_channel(guild, VOICE))
    for number, guild in enumerate(channels):
        asked = await members[number].person.types(
            _channel(guild, TEXT), "record start", within_s=20
        )
        await asked.shown()
    for member in members:
        await member.person.secured(with_whom=discord.world.bot.id, within_s=20)
    began = outcome.began = time.monotonic() + SETTLE_S
    people: list[Browser | Telephone | Member] = [*browsers, *phones, *members]
    talks = [asyncio.create_task(one.talk(began)) for one in people]
    breaking = asyncio.create_task(_break(plan, town_, pages[0], began, outcome))
    tending = asyncio.create_task(_tend(town_, outcome))
    watching = asyncio.create_task(_watch(town_))
    await asyncio.gather(*talks)
    await breaking
    watching.cancel()
    over = time.monotonic()
    for page in pages:
        await _ended(town_, page)
    for number, guild in enumerate(channels):
        await _stopped(members[number], _channel(guild, TEXT))
    await _all_ready(town_, outcome, over)
    tending.cancel()
    await asyncio.sleep(max(over + plan.orphans_after_s - time.monotonic(), 0))
    outcome.orphans = await asyncio.to_thread(
        town_.stack.manage, "reconcile", "--dry-run"
    )
    await asyncio.to_thread(_judge, town_, outcome, browsers, phones, members)
    return outcome


async def _break(
    plan: Plan, town_: Town, page: dict[str, Any], began: float, outcome: Outcome
) -> None:
    """One fault after the other, each kind as often as any other."""
    dice = random.Random(plan.seed)
    kinds = [
        kind
        for kind in all_kinds.all_faults(town_, page, step_clock=plan.step_clock)
        if any(one in kind.name for one in plan.only.split("|"))
    ]
    order: list[all_kinds.Fault] = []
    while len(order) < plan.faults:
        order += dice.sample(kinds, len(kinds))
    await asyncio.sleep(began + SETTLE_S - time.monotonic())
    ends = began + plan.seconds - QUIET_S
    for fault in order[: plan.faults]:
        left = plan.faults - outcome.faults.total()
        share_s = (ends - time.monotonic()) / left
        begun = time.monotonic()
        seconds = dice.uniform(fault.least_s, fault.most_s)
        try:
            async with asyncio.timeout(100):
                await fault.does(seconds)
        finally:
            outcome.faults[fault.name] += 1
            until = time.monotonic() - began
            told = f"{begun - began:7.1f} to {until:6.1f} s  {fault.name}"
            print(told, flush=True)
        await asyncio.sleep(max(min(begun + share_s - time.monotonic(), 8.0), 0.2))


async def _tend(town_: Town, outcome: Outcome) -> None:
    """The supervisor: a process that could not begin without its Redis begins again."""
    while True:
        outcome.restarted += town_.restart_gone()
        await asyncio.sleep(1.0)


async def _watch(town_: Town) -> None:
    """Note when whoever talks was late: they do so on this loop, and what stands late
    then was sent late."""
    while True:
        before = time.monotonic()
        await asyncio.sleep(LOOK_S)
        now = time.monotonic()
        if now - before > LOOK_S + LATE_S:
            town_.disturbed += [Down("we", road, before, now) for road in ROADS]


def _addresses(page: dict[str, Any], ports: list[int]) -> list[str]:
    _, _, path = page["audio_url"].removeprefix("ws://").partition("/")
    return [f"ws://127.0.0.1:{port}/{path}" for port in ports]


def _channel(guild: Any, type_: int) -> Any:
    return next(one for one in guild.channels.values() if one.type == type_)


async def _ended(town_: Town, page: dict[str, Any]) -> None:
    for _ in range(5):
        try:
            await asyncio.to_thread(
                town_.stack.api, "POST", f"/sessions/{page['id']}/end"
            )
        except OSError:
            await asyncio.sleep(1.0)
        else:
            return


async def _stopped(member: Member, text: Any) -> None:
    for _ in range(5):
        with contextlib.suppress(TimeoutError):
            await member.person.types(text, "record stop", within_s=20)
            return


async def _all_ready(town_: Town, outcome: Outcome, over: float) -> None:
    def states() -> list[str]:
        rows = town_.ask(
            "import json; from sessions.models import VoiceSession as V;"
            "print(json.dumps(list(V.objects.values_list('state', flat=True))))"
        )
        return list(rows)

    until = over + END_S
    while time.monotonic() < until:
        found = await asyncio.to_thread(states)
        if set(found) <= {"ready"}:
            break
        await asyncio.sleep(2.0)
    outcome.ready_s = time.monotonic() - over
    outcome.states = Counter(found)


# --- the verdict ----------------------------------------------------------------------


class Store:
    """What is in the bucket; the road is well again."""

    def __init__(self, town_: Town) -> None:
        self._client = boto3.client(
            "s3",
            endpoint_url=town_.road.url,
            aws_access_key_id="key",
            aws_secret_access_key="secret",
            region_name="us-east-1",
        )

    def get(self, key: str) -> bytes:
        data: bytes = self._client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return data


def _judge(
    town_: Town,
    outcome: Outcome,
    browsers: list[Browser],
    phones: list[Telephone],
    members: list[Member],
) -> None:
    dump = town_.ask(verdict.DUMP)
    store = Store(town_)
    outcome.rows = Counter(row["state"] for row in dump["utterances"])
    outcome.errors = dump["errors"]
    calls = {
        str(one.call): town_.stack.api("GET", f"/calls/{one.call}")["session"]
        for one in phones
    }
    numbers = {row["public"]: row["pk"] for row in dump["sessions"]}
    ahead = time.time() - time.monotonic()
    zeros = {row["pk"]: row["began"] - ahead for row in dump["sessions"]}
    whose: list[tuple[Track, tuple[int | None, str]]] = [
        *((one.track, (None, one.track.script.name)) for one in browsers),
        *((one.track, (None, one.track.script.name)) for one in members),
        *((one.track, (numbers[calls[str(one.call)]], "Caller")) for one in phones),
    ]
    masters: dict[int, NDArray[np.int16]] = {}
    for track, (number, name) in whose:
        mine = [
            row
            for row in dump["recordings"]
            if row["name"] == name and number in (None, row["session_id"])
        ]
        takes = [
            Take(
                zeros[row["session_id"]],
                row["start"],
                *verdict.decoded(store.get(row["key"])),
            )
            for row in mine
            if row["tier"] == "original" and row["state"] == "stored"
        ]
        found = verdict.judged(track, takes, town_.disturbed)
        lines = [
            row
            for row in dump["utterances"]
            if row["name"] == name and number in (None, row["session_id"])
        ]
        verdict.read_lines(found, lines)
        outcome.found.append(found)
        bad = [hole for hole in found.holes if not verdict.excused(hole, town_.down)]
        outcome.bad_holes += bad
        if bad or max(map(abs, found.astray_ms), default=0.0) > MP3_FRAME_MS:
            _keep_takes(found, takes)
        for session in {row["session_id"] for row in mine}:
            if session not in masters:
                masters[session] = _master(dump, store, session)
            outcome.off_master += verdict.off_master(found, masters[session])


def _keep_takes(found: Found, takes: list[Take]) -> None:
    """What a hole was found in, or is astray, for whoever looks into it."""
    LOGS.mkdir(exist_ok=True)
    kept = {str(n): take.pcm for n, take in enumerate(takes)}
    np.savez_compressed(
        LOGS / found.track.script.name,
        said=found.track.script.pcm,
        captured=found.track.captured,
        at=found.at,
        starts=[take.start for take in takes],
        **kept,  # type: ignore[arg-type]
    )


def _master(dump: dict[str, Any], store: Store, session: int) -> NDArray[np.int16]:
    (row,) = (
        row
        for row in dump["recordings"]
        if row["tier"] == "master" and row["session_id"] == session
    )
    with av.open(io.BytesIO(store.get(row["key"])), "r") as file:
        pieces = [frame.to_ndarray()[0] for frame in file.decode(file.streams.audio[0])]
    sound = np.concatenate(pieces)
    return sound if sound.dtype == np.int16 else (sound * 32767).astype(np.int16)


# --- from outside ---------------------------------------------------------------------


def chaos(plan: Plan) -> Outcome:
    """Build everything, run, take everything down. Processes are started on this
    thread: they end with it."""
    discord = FakeDiscord()
    tracks = plan.browsers + plan.phones + plan.members
    disk_mb = LEAST_DISK_MB + int(tracks * plan.seconds / 60 * DISK_MB_A_MINUTE)
    with asyncio.Runner() as runner:
        runner.run(discord.__aenter__())
        for number in range(2):
            guild = discord.world.add_guild(f"Guild {number}")
            discord.world.add_text(guild)
            discord.world.add_voice(guild)
        try:
            with town(discord, disk_mb=disk_mb) as made:
                try:
                    outcome = runner.run(run(plan, discord, made))
                finally:
                    _keep_logs(made)
                outcome.late = made.stop()
        finally:
            runner.run(discord.__aexit__())
    return outcome


def _keep_logs(town_: Town) -> None:
    LOGS.mkdir(exist_ok=True)
    for name in town_.words:
        (LOGS / f"{name}.log").write_text(town_.log(name))
