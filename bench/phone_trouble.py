"""The phone in trouble: bad callers beside good ones, and a Redis that goes away.

    siege    50 good calls beside 500 that are half open, silent, slow and flooding
    redis    20 calls while Redis is stopped and started again

The good ones lose nothing: each frame they sent is in the lossless original of its
session, no line ends early, and how long they were left without a frame is printed.
The attackers are a process of their own.

`python bench/phone_trouble.py` takes four minutes; with a part's name, that alone.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import bad_callers
import numpy as np
import uvloop
from decoding import decode
from stack import Stack, free_port, listens, wait_for
from telephone import FRAME, FRAME_S, RATE, Pcm, missing, noise

from bot.phone.caller import Caller

CRUMB = 40  # samples: a correction of the clock takes 10 ms out, not the frame
GOOD, BAD, TALK_S = 50, 500, 12.0
KINDS = ("half_open", "silent", "slow", "flooding", "dialling")
ORIGINALS = """
from bot.models import Call
from sessions.models import Recording
for call in Call.objects.filter(uuid__in={calls!r}).select_related("session"):
    kept = Recording.objects.filter(session=call.session, tier="original")
    keys = kept.filter(participant__key="caller").order_by("start")
    print(call.uuid, call.session.state, *keys.values_list("key", flat=True))
"""


def installation(**settings: str) -> Stack:
    wanted = {"KEEP_ORIGINALS": "True", "AUDIOSOCKET_MAX_CALLS": "1000", **settings}
    return Stack(programs=("web", "bot", "media"), **wanted)


async def talks(port: int, calls: int) -> list[tuple[Caller, Pcm]]:
    """So many callers say something for `TALK_S`, no two frames of it alike."""
    good = []
    for number in range(calls):
        caller = Caller("127.0.0.1", port)
        await caller.connect()
        good.append((caller, noise(TALK_S, seed=number, peak=900)))
        await asyncio.sleep(0.02)
    await asyncio.gather(*(caller.say(sound, RATE) for caller, sound in good))
    for caller, _ in good:
        caller.hang_up()
    return good


def verdict(stack: Stack, good: list[tuple[Caller, Pcm]]) -> None:
    """Print what the good ones lost, of what they sent and of what they heard."""
    calls = [str(caller.call) for caller, _ in good]
    question = ORIGINALS.format(calls=calls)
    found: list[list[str]] = []

    def are_ready() -> bool:
        answer = stack.manage("shell", "-v0", "-c", question)
        found[:] = [line.split() for line in answer.splitlines()]
        return len(found) == len(calls) and all(row[1] == "ready" for row in found)

    wait_for("the ends of the calls", are_ready, within_s=420)
    kept = {row[0]: row[2:] for row in found}
    storage = stack.folder / "storage"
    theirs = [
        (sound, [decode(storage / key) for key in kept[str(who.call)]])
        for who, sound in good
    ]
    lost = sum(missing(sound, pieces) for sound, pieces in theirs)
    crumbs = sum(missing(sound, pieces, samples=CRUMB) for sound, pieces in theirs)
    sent = sum(len(sound) // FRAME for _, sound in good)
    early = [who.end for who, _ in good if who.end != "hung up here"]
    times = [[heard.arrival_s for heard in who.heard] for who, _ in good]
    gaps = sorted(b - a for one in times for a, b in pairwise(one))
    due = TALK_S / FRAME_S
    fewest = min(len(one) for one in times) / due
    print(
        f"  {len(good)} good calls: {lost} of {sent} frames not whole "
        f"({crumbs * CRUMB / RATE:.2f} s of their sound missing), {len(early)} ended "
        f"early{''.join(f' ({end})' for end in sorted(set(early)))}\n"
        f"  what they heard: gaps p99 {gaps[int(len(gaps) * 0.99)] * 1000:.0f}, worst "
        f"{gaps[-1] * 1000:.0f} ms; {fewest:.1%} of the frames due at the fewest\n"
        f"  tracebacks in the server's log: {stack.log('bot').count('Traceback')}",
        flush=True,
    )


# --- siege ----------------------------------------------------------------------------


def siege() -> None:
    print(f"siege: {BAD} connections ({', '.join(KINDS)})")
    port = free_port()
    with installation(AUDIOSOCKET_PORT=str(port)) as stack:
        wait_for("the phone", lambda: listens(port), within_s=20)
        attackers = subprocess.Popen(
            [sys.executable, "bench/phone_trouble.py", "attack", str(port)], cwd=ROOT
        )
        time.sleep(1)
        good = uvloop.run(talks(port, GOOD))
        attackers.wait(60)
        verdict(stack, good)


async def attack(port: int) -> None:
    kinds = [getattr(bad_callers, kind) for kind in KINDS]
    bad = [kinds[n % len(kinds)]("127.0.0.1", port, seconds=12) for n in range(BAD)]
    ends = await asyncio.gather(*bad, return_exceptions=True)
    for number, kind in enumerate(KINDS):
        mine = ends[number :: len(KINDS)]
        gone = [end for end in mine if isinstance(end, float)]
        failed = sum(isinstance(end, BaseException) for end in mine)
        print(
            f"  {kind}: {len(gone)} let go, after {np.mean(gone or [0]):.1f} s; "
            f"{len(mine) - len(gone) - failed} kept, {failed} failed",
            flush=True,
        )


# --- redis ----------------------------------------------------------------------------


@contextmanager
def redis(port: int, folder: str) -> Iterator[subprocess.Popen[bytes]]:
    words = ["redis-server", "--port", str(port), "--bind", "127.0.0.1"]
    process = subprocess.Popen(
        [*words, "--save", "", "--dir", folder], stdout=subprocess.DEVNULL
    )
    try:
        wait_for("redis", lambda: listens(port), within_s=10)
        yield process
    finally:
        process.terminate()
        process.wait(10)


def without_redis() -> None:
    print("redis: killed in the middle of 20 calls, and back after 4 s")
    port, redis_port = free_port(), free_port()
    url = f"redis://127.0.0.1:{redis_port}/0"
    with ExitStack() as held:
        folder = held.enter_context(tempfile.TemporaryDirectory())
        first = held.enter_context(redis(redis_port, folder))
        wanted = {"AUDIOSOCKET_PORT": str(port), "REDIS_URL": url}
        stack = held.enter_context(installation(**wanted))
        wait_for("the phone", lambda: listens(port), within_s=20)

        async def interrupted() -> list[tuple[Caller, Pcm]]:
            calls = asyncio.create_task(talks(port, 20))
            await asyncio.sleep(4)
            first.kill()
            await asyncio.sleep(4)
            await asyncio.to_thread(held.enter_context, redis(redis_port, folder))
            return await calls

        verdict(stack, uvloop.run(interrupted()))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceproject.settings")
    match sys.argv[1:]:
        case ["attack", port]:
            uvloop.run(attack(int(port)))
        case ["siege"]:
            siege()
        case ["redis"]:
            without_redis()
        case _:
            siege()
            without_redis()
