"""The Discord side of `make demo`: a server with three members who call the bot in.

`python -m fakecord.demo FILE`: writes into the file where the bot finds it (see
`connector.from_file`), lets the members talk, and prints what they see.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from pathlib import Path

import numpy as np
import soxr

from fakecord.certificate import certificate
from fakecord.entities import Channel
from fakecord.interactions import Barred
from fakecord.people import Person
from fakecord.rtp import opus
from fakecord.server import FakeDiscord
from fakecord.world import Event
from voiceproject import demo

CLIPS = Path(__file__).parents[1] / "speech" / "clips"
TIMES = 2
"""How often the conversation is said in one call."""
PAUSE_S = 30.0
LAST_LINES_S = 8.0
RATE = 48_000


async def main(place: Path) -> None:
    """Call after call, until stopped."""
    clips = demo.read_conversation(CLIPS)
    async with FakeDiscord() as server:
        guild = server.world.add_guild("The demo's server")
        text, voice = server.world.add_text(guild), server.world.add_voice(guild)
        names = dict.fromkeys(clip.speaker for clip in clips)
        people = {name: server.person(guild, name.title()) for name in names}
        write_place(place, server)
        server.world.on_event.append(Channelled().told)
        while True:
            await bot_is_in(server)
            try:
                await call(text, voice, people, clips)
            except (AssertionError, Barred, TimeoutError) as e:
                show(f"the call came to nothing ({e}); another one comes")
            for person in people.values():
                person.leaves()
            await asyncio.sleep(PAUSE_S)


def write_place(path: Path, server: FakeDiscord) -> None:
    """Whole or not at all: the bot waits for it."""
    told = {"port": server.port, "chain": certificate().chain.decode()}
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(told), encoding="utf-8")
    draft.rename(path)


async def bot_is_in(server: FakeDiscord) -> None:
    while not server.gateway.live:  # noqa: ASYNC110 (the gateway tells nobody)
        await asyncio.sleep(0.2)


async def call(
    text: Channel,
    voice: Channel,
    people: dict[str, Person],
    clips: list[demo.Clip],
) -> None:
    """One call: the bot is called in, everybody talks, it is sent out again."""
    ann = next(iter(people.values()))
    for person in people.values():
        person.joins(voice)
    show(f"{ann.member.shown_as} types /record start")
    asked = await ann.types(text, "record start", within_s=15.0)
    show(f"the bot answers: {(await asked.shown(within_s=15.0)).content}")
    for clip in clips * TIMES:
        who = people[clip.speaker]
        sound = soxr.resample(clip.samples.astype(np.float32), demo.RATE, RATE)
        packets = await asyncio.to_thread(opus, sound.round().astype(np.int16))
        await asyncio.sleep(demo.BREATH_S)
        await who.sends(packets)
    await asyncio.sleep(demo.BREATH_S)
    show(f"{ann.member.shown_as} types /record stop")
    asked = await ann.types(text, "record stop")
    show(f"the bot answers: {(await asked.shown()).content}")
    await asyncio.sleep(LAST_LINES_S)


class Channelled:
    """Prints what the bot writes into the text channel, each line once."""

    def __init__(self) -> None:
        self._shown: dict[str, set[str]] = {}

    def told(self, event: Event) -> None:
        if event.name not in ("MESSAGE_CREATE", "MESSAGE_UPDATE"):
            return
        shown = self._shown.setdefault(event.data["id"], set())
        lines = event.data["content"].splitlines()
        for embed in event.data["embeds"]:
            lines += [embed["title"], *embed["description"].splitlines()]
        for line in lines:
            if line not in shown:
                shown.add(line)
                show(f"#general: {line}")


def show(line: str) -> None:
    print(f"  Discord: {line}", flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner() as runner:
        loop = runner.get_loop()
        work = loop.create_task(main(Path(sys.argv[1])))
        loop.add_signal_handler(signal.SIGTERM, work.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(work)
