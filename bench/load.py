"""How many tracks one process on one core carries, by each of the three roads.

The process is the real one (`manage.py runweb`; `runbot` with telephones alone, or with
Discord alone) and has one core; who talks has the other. Everything that happens to
sound while people talk happens: it is received, journalled, placed, encoded,
voice-detected, and becomes rows of utterances; what follows is other processes' work.
More and more tracks, each with speech for 40 % of the time, until one of these no
longer holds:

    lost     frames that were sent and are in nobody's journal (0)
    delay    of a frame of 20 ms, from when it is due to when it was received: behind
             its track's most punctual hundredth (p99 below 40 ms)
    waited   what was received and taken in more than 40 ms later (below 1 %)
    behind   at the end: how long a round of the encoders takes, and how much sound of
             one track voice detection has not listened to yet (both below 2 s)

A step in which the sender itself was late says nothing, and is taken again. What was
carried is held four times as long once more; if it does not hold then, the step before
it is. At half of it, where the time goes: samples of py-spy, by the file of ours that
was running or had called what was.

`python bench/load.py` steps all three, each step 15 s. `--source phone` takes one,
`--seconds 60` makes steps longer, `--redis` is as large installations are. `--soak
3600 --tracks 100` holds so many for an hour instead, and prints how memory grows: MB an
hour, by the straight line through its last three quarters (1). `--core 1` lets another
of these run beside it, on the other core.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceproject.settings")
import django

django.setup()

import numpy as np
from numpy.typing import NDArray
from stack import redis_server

from bench._roads import FRAME_S, ROADS, Carrier, Road
from bench.discord_load import KEYS
from sessions.audio.frames import TIMELINE_RATE
from sessions.audio.journal import PCM, SOUND, ZEROS, Journal, records

STEPS = (10, 20, 30, 40, 50, 60, 80, 100, 125, 150, 200, 300)
LAG_MS = 40.0
WAITED, BEHIND_S = 0.01, 2.0
LONGER = 4
SENT_LATE_MS, TRIES = 10.0, 3
"""A step in which who talks was this late (p99) is taken again."""
SETTLE_S = 2.0
"""Of talk that does not count, once everybody is there."""
PROFILE_S = 8
"""py-spy takes whole seconds."""
SOAK_LOOK_S = 10.0
SAID_EVERY = 30
"""Looks."""
SLOPE_MB_H = 1.0
UTTERANCES = "from transcripts.models import Utterance as U; print(U.objects.count())"
STOP_S = 120.0
"""Until a process that was behind has written everything down."""


# --- what the process made of it ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Found:
    """Of one step."""

    tracks: int
    sent: int
    lost: float
    delays_ms: NDArray[np.float64]
    sent_late_ms: float
    """p99 of who talks."""
    load: float
    """Of the core."""
    memory_mb: float
    waited: float
    """Share of what was received."""
    encoders_s: float
    detection_s: float
    utterances: int

    @property
    def p99_ms(self) -> float:
        return float(np.percentile(self.delays_ms, 99))

    @property
    def holds(self) -> bool:
        is_late = self.p99_ms >= LAG_MS or self.waited >= WAITED
        is_behind = max(self.encoders_s, self.detection_s) >= BEHIND_S
        return self.lost == 0 and not is_late and not is_behind

    @property
    def is_measured(self) -> bool:
        """Whether the machine left who measures its core."""
        return self.holds or self.sent_late_ms < SENT_LATE_MS

    @property
    def verdict(self) -> str:
        if not self.is_measured:
            return "  (not measured: the machine was elsewhere)"
        return "" if self.holds else "  (too much)"

    def __str__(self) -> str:
        late = self.delays_ms
        return (
            f"{self.tracks:4} tracks: {self.lost:.0f} of {self.sent} frames lost; "
            f"delay p50 {np.median(late):.1f}, p99 {self.p99_ms:.1f}, worst "
            f"{late.max():.0f} ms (sent late: p99 {self.sent_late_ms:.1f}); "
            f"{self.waited:.2%} waited; encoders {self.encoders_s:.2f} s behind, "
            f"detection {self.detection_s:.2f}; {self.load:.2f} of the core; "
            f"{self.memory_mb:.0f} MB; {self.utterances} utterances"
            f"{self.verdict}"
        )


def read_journals(process: Carrier, road: Road) -> tuple[float, NDArray[np.float64]]:
    """Frames that are there, and how late each record came behind the most punctual
    hundredth of its track's."""
    keys = json.loads(process.manage("shell", "-v0", "-c", KEYS).strip())
    kept, late = 0.0, [np.zeros(1)]
    for path in (process.folder / "spool").glob("*/*/journal"):
        with path.open("rb") as file:
            head = Journal(file).head
            file.seek(0)
            rows = [one for one in records(file) if one.kind in (SOUND, ZEROS)]
        at_s = np.array([row.at for row in rows]) / TIMELINE_RATE
        frames = np.ones(len(rows))
        if head.codec == PCM:
            sizes = [
                len(row.payload)
                if row.kind == SOUND
                else int.from_bytes(row.payload, "little")
                for row in rows
            ]
            frames = np.array(sizes) / (2 * head.rate * FRAME_S)
        kept += frames.sum()
        due_s = road.due_s(keys[str(head.participant_pk)], frames.cumsum() * FRAME_S)
        if len(due_s):
            away = at_s - due_s
            away -= np.percentile(away, 1)
            late.append(away[due_s > SETTLE_S])
    return kept, np.concatenate(late) * 1000


# --- steps, a profile, a soak ---------------------------------------------------------

Beside = Callable[[Carrier], Coroutine[Any, Any, None]]
"""What is done while they talk; cancelled when they have talked."""


@dataclass(frozen=True, slots=True)
class _Talk:
    """What the process was like while they talked, and at the end of that."""

    load: float
    waited: float
    encoders_s: float
    detection_s: float
    memory_mb: float


async def _conversed(process: Carrier, road: Road, beside: Beside) -> _Talk:
    before: Counter[str] = Counter()

    async def settled() -> None:
        await asyncio.sleep(SETTLE_S)
        before.update(process.told())

    await road.gather(process)
    cpu_s, began = process.cpu_s(), time.monotonic()
    watching = asyncio.gather(settled(), beside(process))
    await road.talk()
    load = (process.cpu_s() - cpu_s) / (time.monotonic() - began)
    told = process.told()
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    waited = told["parley_frames_waited_total"] - before["parley_frames_waited_total"]
    frames = told["parley_frames_total"] - before["parley_frames_total"]
    return _Talk(
        load,
        waited / max(frames, 1),
        told["parley_encoder_lag_seconds"],
        told["parley_vad_behind_seconds"],
        process.memory_mb(),
    )


def held(road: Road, beside: Beside, **env: str) -> Found:
    """Everybody comes, talks and goes, before a process of their own."""
    with asyncio.Runner() as runner:
        runner.run(road.prepare())
        process = road.process(**env)
        with process:
            try:
                talk = runner.run(_conversed(process, road, beside))
                runner.run(road.leave())
            except BaseException:
                print(process.logs()[-3000:])
                raise
            process.ends(within_s=STOP_S)
            kept, delays = read_journals(process, road)
            utterances = int(process.manage("shell", "-v0", "-c", UTTERANCES))
        runner.run(road.over())
    return Found(
        tracks=road.tracks,
        sent=road.sent,
        lost=road.sent - kept,
        delays_ms=delays,
        sent_late_ms=1000 * float(np.percentile(road.late_s, 99)),
        load=talk.load,
        memory_mb=talk.memory_mb,
        waited=talk.waited,
        encoders_s=talk.encoders_s,
        detection_s=talk.detection_s,
        utterances=utterances,
    )


async def nothing(process: Carrier) -> None: ...


def climb(kind: type[Road], seconds: float, **env: str) -> int:
    """More and more of them, until it is too much; how many were not."""
    print(f"{kind.name}:", flush=True)
    steps: list[Found] = []
    for tracks in STEPS:
        steps.append(tried(kind, tracks, seconds, **env))
        if not steps[-1].holds:
            break
    each = ""
    if len(steps) > 1:
        sizes = [one.memory_mb for one in steps]
        slope = np.polyfit([one.tracks for one in steps], sizes, 1)[0]
        each = f"; {slope:.2f} MB a track"
    for step in reversed([one for one in steps if one.holds]):
        print(f"  {step.tracks} again, for {LONGER * seconds:.0f} s:", flush=True)
        if tried(kind, step.tracks, LONGER * seconds, **env).holds:
            print(f"  one core carries {step.tracks}{each}", flush=True)
            return step.tracks
    print("  one core carries none", flush=True)
    return 0


def tried(kind: type[Road], tracks: int, seconds: float, **env: str) -> Found:
    """So many, until the machine left who measures its core."""
    for _ in range(TRIES):
        found = held(kind(tracks, SETTLE_S + seconds), nothing, **env)
        print(f"  {found}", flush=True)
        if found.is_measured:
            break
    return found


def profile(kind: type[Road], tracks: int, **env: str) -> None:
    """Where the time goes, by file."""
    with tempfile.NamedTemporaryFile(suffix=".txt") as file:

        async def record(process: Carrier) -> None:
            words = ["py-spy", "record", "--nonblocking", "--format", "raw"]
            where = ["--full-filenames", "--output", file.name, "--pid"]
            words = [*words, *where, str(process.pid), "--duration", str(PROFILE_S)]
            found = Path(sys.executable).parent / words[0]
            done = await asyncio.create_subprocess_exec(
                found, *words[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            if await done.wait():
                raise RuntimeError("py-spy could not look")

        held(kind(tracks, SETTLE_S + 2 * PROFILE_S), record, **env)
        rows = Path(file.name).read_text().splitlines()
    counts: Counter[str] = Counter()
    for row in rows:
        stack, _, count = row.rpartition(" ")
        counts[_ours(stack)] += int(count)
    whole = counts.total()
    shares = (f"{name} {n / whole:.0%}" for name, n in counts.most_common(12))
    print(f"  of {tracks} tracks' time: {', '.join(shares)}", flush=True)


def _ours(stack: str) -> str:
    """The innermost file of ours in a stack, or a word for all that is not."""
    for one in reversed(stack.split(";")):
        _, _, place = one.rpartition(" (")
        if f"{ROOT}/" in place and ".venv" not in place:
            return place.removeprefix(f"{ROOT}/").partition(":")[0]
    return "asyncio and the server below it"


def soak(kind: type[Road], tracks: int, seconds: float, **env: str) -> bool:
    """So many for so long; whether memory stayed."""
    looks: list[tuple[float, float]] = []

    async def look(process: Carrier) -> None:
        while True:
            looks.append((time.monotonic(), process.memory_mb()))
            if len(looks) % SAID_EVERY == 0:
                minutes = (looks[-1][0] - looks[0][0]) / 60
                print(f"  {minutes:.0f} min: {looks[-1][1]:.1f} MB", flush=True)
            await asyncio.sleep(SOAK_LOOK_S)

    print(f"{kind.name}:", flush=True)
    found = held(kind(tracks, SETTLE_S + seconds), look, **env)
    print(f"  {found}")
    at, sizes = np.array(looks[len(looks) // 4 :]).T
    slope = 3600 * float(np.polyfit(at, sizes, 1)[0])
    print(
        f"  memory over {seconds / 60:.0f} minutes: {sizes[0]:.0f} to {sizes[-1]:.0f} "
        f"MB, {slope:+.2f} MB an hour (target: {SLOPE_MB_H:.0f})"
    )
    return found.holds and slope < SLOPE_MB_H


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--source", choices=ROADS, help="one of them alone")
    asked.add_argument("--seconds", type=float, default=15.0, help="of a step")
    asked.add_argument("--redis", action="store_true")
    asked.add_argument("--soak", type=float, help="seconds")
    asked.add_argument("--core", type=int, default=0, help="of the process")
    asked.add_argument("--tracks", type=int, default=100, help="of the soak")
    how = asked.parse_args()
    Carrier.core = how.core
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    kinds = [ROADS[how.source]] if how.source else list(ROADS.values())
    good = True
    with contextlib.ExitStack() as parts:
        env = {"REDIS_URL": parts.enter_context(redis_server())} if how.redis else {}
        for kind in kinds:
            if how.soak:
                good &= soak(kind, how.tracks, how.soak, **env)
            elif carried := climb(kind, how.seconds, **env):
                profile(kind, max(carried // 2, 1), **env)
            else:
                good = False
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
