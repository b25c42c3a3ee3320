"""How long a call on Discord is deaf when something breaks: a real link in a logged-in
client, the test Discord 20 ms away, and one who never stops talking, a packet each
20 ms.

The gap is from the last packet heard before to the first behind it. Targets: 1 s for
what breaks the line, 0.5 s for moves and changes of servers, 0.05 s for a resumed main
gateway, 1 s for a new session of it; who is sent away is told at once.

`python bench/discord_reconnects.py` takes seven minutes; a number is how often each
event is repeated (20), a word chooses among them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings_for_tests")
django.setup()

import discord
import numpy as np
import structlog
from fakecord.bot import Eager, EagerShards, logged_in, until
from fakecord.server import FakeDiscord
from linked import Linked, linked

REPETITIONS = 20
BEHIND = 25
"""Packets that are waited for behind an event: late changes of keys belong to it."""

Once = Callable[[Linked], Awaitable[float]]
"""One repetition; seconds."""


def breaks(event: Callable[[Linked], object]) -> Once:
    return lambda call: call.gap_s(partial(event, call), packets=BEHIND)


def closes(code: int) -> Once:
    return breaks(lambda call: call.server.voice.close(code))


async def resumes_voice(call: Linked) -> float:
    connection = call.lines[-1]
    before = connection.line
    return await call.gap_s(
        partial(call.server.voice.close, 4015),
        mended=lambda: connection.line is not before,
        packets=BEHIND,
    )


async def loses_server(call: Linked) -> float:
    def event() -> None:
        call.loses_line()
        call.server.change_voice_server(call.guild)

    return await call.gap_s(event, packets=BEHIND)


async def moves(call: Linked) -> float:
    gap_s = await call.gap_s(call.moves, packets=BEHIND)
    assert call.link.channel_id == call.other.id
    call.channel, call.other = call.other, call.channel
    return gap_s


async def resumes(call: Linked) -> float:
    gateway = call.server.gateway
    resumed = gateway.resumed
    return await call.gap_s(
        gateway.ask_to_reconnect,
        mended=lambda: gateway.resumed > resumed,
        packets=BEHIND,
    )


async def logs_in_anew(call: Linked) -> float:
    async def on_ready() -> None:
        call.link.look()

    call.client.event(on_ready)
    return await call.gap_s(call.server.gateway.invalidate, within_s=20, packets=BEHIND)


async def is_sent_away(call: Linked, event: Callable[[Linked], object]) -> float:
    began_s = time.monotonic()
    event(call)
    await call.ended()
    return time.monotonic() - began_s


async def in_one_call(
    once: Once, count: int, kind: type[discord.Client], heartbeat_s: float
) -> list[float]:
    async with FakeDiscord() as server:
        server.voice.heartbeat_s = heartbeat_s
        async with logged_in(server, kind) as client, linked(server, client) as call:
            return [await once(call) for _ in range(count)]


async def in_calls(event: Callable[[Linked], object], count: int) -> list[float]:
    """An end cannot be repeated."""
    took_s = []
    async with FakeDiscord() as server, logged_in(server, EagerShards) as client:
        for _ in range(count):
            async with linked(server, client) as call:
                took_s.append(await is_sent_away(call, event))
    return took_s


async def connects(count: int) -> tuple[list[float], list[float]]:
    """Into an empty channel, and out of it; an unheard voice waits for no keys."""
    opened, closed = [], []
    async with FakeDiscord() as server, logged_in(server, EagerShards) as client:
        for _ in range(count):
            link = await Linked(server, client).made()
            began_s = time.monotonic()
            await link.open()
            opened.append(time.monotonic() - began_s)
            await link.close()
            closed.append(time.monotonic() - began_s - opened[-1])
        await until(lambda: not server.voice.live())
    return opened, closed


LINES: dict[str, Once] = {
    **{f"close {code}": closes(code) for code in (4006, 4009, 1000, 1001)},
    "close 4015": resumes_voice,
    "restart, 4015": breaks(lambda c: c.server.restart_voice(c.guild, code=4015)),
    "restart, reset": breaks(lambda c: c.server.restart_voice(c.guild)),
    "reset": breaks(lambda c: c.server.voice.cut()),
    "open and dead": breaks(lambda c: c.loses_line()),
    "moved": moves,
    "other server": breaks(lambda c: c.server.change_voice_server(c.guild)),
    "other, old dead": loses_server,
    "gateway resumes": resumes,
    "gateway anew": logs_in_anew,
    "anew, one shard": logs_in_anew,
}
ENDS: dict[str, Callable[[Linked], object]] = {
    "kicked": lambda call: call.server.world.kick(call.me),
    "channel deleted": lambda call: call.server.world.delete_channel(call.channel),
    "guild removed": lambda call: call.server.world.remove_guild(call.guild),
    "close 4022": lambda call: call.server.voice.close(4022),
}


def report(what: str, found: list[float]) -> None:
    p50, p95 = np.percentile(found, [50, 95]) * 1000
    most = max(found) * 1000
    print(
        f"  {what:<18} {len(found):3}   p50 {p50:6.0f}   p95 {p95:6.0f}   "
        f"max {most:6.0f} ms",
        flush=True,
    )


async def main(count: int, words: list[str]) -> None:
    def wanted(what: str) -> bool:
        return not words or any(word in what for word in words)

    print("deaf for (a packet comes each 20 ms):")
    for what, once in LINES.items():
        if wanted(what):
            kind = Eager if "one shard" in what else EagerShards
            heartbeat_s = 1.0 if "dead" in what else 13.75
            report(what, await in_one_call(once, count, kind, heartbeat_s))
    print("the end is told after:")
    for what, event in ENDS.items():
        if wanted(what):
            report(what, await in_calls(event, count))
    if wanted("connect"):
        print("a link, to an empty channel:")
        for what, found in zip(("opens", "closes"), await connects(count), strict=True):
            report(what, found)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
    )
    counts = [int(word) for word in sys.argv[1:] if word.isdigit()]
    chosen = [word for word in sys.argv[1:] if not word.isdigit()]
    asyncio.run(main(counts[0] if counts else REPETITIONS, chosen))
