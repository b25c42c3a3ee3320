"""A Discord call over loopback, in real processes: three who talk at once, from the
command in a text channel to the finished recording."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import soxr
from fakecord.entities import TEXT, VOICE, Channel
from fakecord.people import Person
from fakecord.rtp import opus
from fakecord.server import FakeDiscord
from numpy.typing import NDArray
from scene import eventually
from speech import voices
from stack import ALL, Stack, wait_for
from talk import word_errors, words_of
from test_recording import found_at, the_master

NAMES = ("Ann", "Ben", "Cid")
PHRASES = 5
PAUSE_S = 1.3
SEED = 20_261_122
LIMIT = 0.08
RATE = 16_000


@dataclass
class Talk:
    """What was said and when, and what is left of it."""

    session: dict[str, Any]
    said: dict[str, list[str]] = field(default_factory=dict)
    pieces: list[tuple[float, NDArray[np.int16]]] = field(default_factory=list)
    """When each phrase began, on the test's clock; and its sound at 16 kHz."""
    told: list[str] = field(default_factory=list)
    """What the bot wrote into the text channel."""
    greeting: str = ""
    seconds_to_room: float = 0.0


@pytest.fixture(scope="module")
def talk() -> Iterator[tuple[Stack, Talk]]:
    server = FakeDiscord()
    with asyncio.Runner() as runner:
        runner.run(server.__aenter__())
        # On this thread: with the one that starts them, processes would end.
        with a_stack(server) as stack:
            try:
                made = runner.run(asyncio.wait_for(converse(server, stack), 150))
            except BaseException:
                print(stack.logs())
                raise
            yield stack, made
            runner.run(server.__aexit__())


def a_stack(server: FakeDiscord) -> Stack:
    guild = server.world.add_guild("Guild")
    server.world.add_text(guild)
    server.world.add_voice(guild)
    return Stack(
        programs=ALL,
        DISCORD_TOKEN=server.token,
        DISCORD_CONNECTOR="fakecord.connector.from_environment",
        STT_LANGUAGE="en",
        TTS="none",
        **server.env,
    )


async def converse(server: FakeDiscord, stack: Stack) -> Talk:
    (guild,) = server.world.guilds.values()
    text, voice = (one for one in guild.channels.values() if one.type in (TEXT, VOICE))
    people = {name: server.person(guild, name) for name in NAMES}
    for person in people.values():
        person.joins(voice)
    ann = people["Ann"]
    await eventually(lambda: "discord.ready" in stack.log("bot"), within_s=20)
    began = time.monotonic()
    asked = await ann.types(text, "record start")
    greeting = (await asked.shown()).content
    to_room = time.monotonic() - began
    for person in people.values():
        await person.secured(with_whom=server.world.bot.id)
    await asyncio.sleep(0.5)
    made = Talk({}, greeting=greeting, seconds_to_room=to_room)
    phrases = voices.unseen_phrases(PHRASES * len(NAMES), seed=SEED)
    await asyncio.gather(
        *(
            speaks(made, person, phrases[i::3], voices.UNSEEN_VOICES[i])
            for i, person in enumerate(people.values())
        )
    )
    await asyncio.sleep(2.0)
    asked = await ann.types(text, "record stop")
    await asked.shown()
    (made.session,) = stack.api("GET", "/sessions")["items"]
    path = f"/sessions/{made.session['id']}"
    ready = lambda: stack.api("GET", path)["state"] == "ready"  # noqa: E731
    await asyncio.to_thread(wait_for, "the end", ready, within_s=60)
    await asyncio.sleep(2.0)  # the last lines are on their way into the text channel
    made.told = written(server, text)
    return made


async def speaks(made: Talk, person: Person, phrases: list[str], voice: str) -> None:
    made.said[person.member.user.name] = phrases
    spoken = [voices.trim(voices.speak(phrase, voice=voice)) for phrase in phrases]
    packets = [opus(soxr.resample(pcm, RATE, 48_000)) for pcm in spoken]
    assert person.voice is not None
    person.voice.announce()
    await asyncio.sleep(3.0)  # until everybody is ready to speak
    for pcm, said in zip(spoken, packets, strict=True):
        made.pieces.append((time.time(), pcm))
        await person.sends(said, announce=None)
        await asyncio.sleep(PAUSE_S)


def written(server: FakeDiscord, text: Channel) -> list[str]:
    posted = server.world.mail.posted(text.id)
    return [line for message in posted for line in message.content.splitlines()]


def test_right_words_stand_under_right_names(talk: tuple[Stack, Talk]) -> None:
    stack, made = talk
    path = f"/sessions/{made.session['id']}/transcript.json"
    lines = stack.api("GET", path)["lines"]
    wrong = count = 0
    for name, said in made.said.items():
        heard = " ".join(line["text"] for line in lines if line["name"] == name)
        words = words_of(" ".join(said))
        wrong, count = wrong + word_errors(words, words_of(heard)), count + len(words)
        print(name, "said ", words, "\n    heard", words_of(heard))
    print(f"{wrong} errors in {count} words: {wrong / count:.1%}")
    assert {line["name"] for line in lines} == set(NAMES)
    assert wrong / count <= LIMIT


def test_what_was_said_stands_in_the_text_channel(talk: tuple[Stack, Talk]) -> None:
    stack, made = talk
    path = f"/sessions/{made.session['id']}/transcript.json"
    for line in stack.api("GET", path)["lines"]:
        assert f"**{line['name']}**: {line['text']}" in made.told


def test_everybody_stands_in_the_master_as_they_spoke(talk: tuple[Stack, Talk]) -> None:
    """Within 20 ms of each other, and of the wall clock."""
    stack, made = talk
    sound = the_master(stack, made.session["id"])
    began = made.pieces[0][0]
    moved = []
    for at, pcm in made.pieces:
        place, _ = found_at(sound, pcm)
        moved.append(place / RATE - (at - began))
    spread = np.array(moved) - np.median(moved)
    print("moved (ms):", np.round(spread * 1000, 1))
    assert np.abs(spread).max() <= 0.020


def test_the_bot_is_there_soon(talk: tuple[Stack, Talk]) -> None:
    _, made = talk
    assert "<#" in made.greeting
    assert made.seconds_to_room < 2.0
