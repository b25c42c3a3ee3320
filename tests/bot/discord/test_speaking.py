"""What the bot says in a call: heard by all, on a track of its own, and interrupted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import numpy as np
import pytest
import soxr
from discord_bot import in_db, in_state, running
from fakecord.bot import until
from fakecord.entities import Channel, Guild
from fakecord.people import Person
from fakecord.rtp import SILENCE, opus
from fakecord.server import FakeDiscord
from pytest_django.fixtures import Settings
from speech import voices

from bot.discord.client import ParleyBot
from bot.discord.speak import KEYS_WITHIN_S, LOOK_S, SpeechOut
from bot.voice.playout import Piece
from bot.voice.responder.port import History, Reply
from sessions import finish
from sessions.audio.frames import TIMELINE_RATE
from sessions.models import Participant, Recording, State
from transcripts.models import Utterance

pytestmark = pytest.mark.django_db(transaction=True)
LONG = "One two three four five six seven eight nine ten. " * 6


class Talkative:
    """Answers at length, whatever is said."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def respond(
        self, history: History, text: str, *, language: str
    ) -> AsyncGenerator[Reply, None]:
        self.asked.append(text)
        yield LONG

    async def close(self) -> None:
        return None


@pytest.fixture(autouse=True)
def _alone(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.LOGS_DIR = tmp_path / "logs"
    settings.TTS = "espeak"
    monkeypatch.setattr(finish, "ring", lambda _: None)


def heard(person: Person, whom: int) -> int:
    """How many packets of that user it has heard, but for silence."""
    return sum(
        one.user_id == whom and one.opus not in (None, SILENCE) for one in person.heard
    )


def is_silent(bot: ParleyBot, guild: Guild) -> bool:
    call = bot.operator.call_in(guild.id)
    return call is not None and not (call._speech and call._speech.playout.is_playing)


@pytest.mark.parametrize("latency_s", [0.02, 0.6], ids=["near", "far"])
async def test_the_notice_is_heard_and_is_a_track_and_a_line(
    server: FakeDiscord,
    guild: Guild,
    text: Channel,
    voice: Channel,
    ann: Person,
    latency_s: float,
) -> None:
    """The whole of it, however long the keys take to be shared."""
    ann.latency_s = latency_s
    me = server.world.bot.id
    async with running(server) as bot:
        ann.joins(voice)
        await ann.types(text, "record start")
        await in_state(State.ACTIVE)
        await ann.secured(with_whom=me)
        await until(lambda: heard(ann, me) > 40, within_s=20)
        await until(lambda: is_silent(bot, guild), within_s=20)
        call = bot.operator.call_in(guild.id)
        assert call
        assert call._speech
        assert call.link
        sent_s = call._speech.playout.sent / TIMELINE_RATE  # a held up machine's, too
        client = call.link.client
        assert client
        await until(lambda: len(ann.heard) >= client.sequence)
        assert all(one.opus is not None for one in ann.heard)
        packets = heard(ann, me)
        await ann.types(text, "record stop")
        await in_state(State.FINISHING)
    ours = await in_db(Participant.objects.get)(key="parley")
    line = await in_db(Utterance.objects.get)(participant=ours)
    assert line.text == "This conversation is being recorded and written down."
    chunk = await in_db(Recording.objects.get)(participant=ours, tier="chunk")
    said_s = (line.end - line.start) / 48_000
    assert abs(chunk.duration / 48_000 - said_s) < 0.1
    assert abs(sent_s - said_s) < 0.1
    assert said_s > packets * 0.02 - 0.1


async def test_whoever_speaks_interrupts(
    server: FakeDiscord,
    guild: Guild,
    text: Channel,
    ann: Person,
    settings: Settings,
) -> None:
    settings.VOICE_RESPONDER = "rooms"
    me, answers = server.world.bot.id, Talkative()
    async with running(server, responder=answers) as bot:
        await ann.types(text, "voice")
        session = await in_state(State.WAITING)
        room = server.world.channel(int(session.channel_id))
        assert room
        ann.joins(room)
        await in_state(State.ACTIVE)
        await ann.secured(with_whom=me)
        call = bot.operator.call_in(guild.id)
        assert call
        await until(lambda: heard(ann, me) > 40, within_s=20)
        await until(lambda: is_silent(bot, guild), within_s=20)  # behind the notice
        assert call._chat
        before = heard(ann, me)
        call._chat.turns.ask("tell me", ())
        await until(lambda: heard(ann, me) > before + 50, within_s=20)
        said = voices.trim(voices.speak("thank you very much hello team"))
        packets = opus(soxr.resample(said, 16_000, 48_000))
        began = time.monotonic()
        speaking = asyncio.create_task(ann.sends(packets))
        await until(lambda: is_silent(bot, guild), within_s=10)
        print(f"silent {time.monotonic() - began:.2f} s after they began")
        assert time.monotonic() - began < 3.0  # of the eighteen that it had to say
        await speaking
        await asyncio.sleep(0.3)
        count = heard(ann, me)
        await asyncio.sleep(0.3)
        assert heard(ann, me) == count
    lines = [one.text async for one in Utterance.objects.filter(end__gt=0)]
    assert np.any([LONG.strip() in line for line in lines])


class Keyless:
    """A connection that never gets the keys of its call."""

    can_be_heard = False

    def __init__(self) -> None:
        self.played: list[SpeechOut] = []

    def is_connected(self) -> bool:
        return True

    def is_playing(self) -> bool:
        return bool(self.played)

    def play(self, source: SpeechOut, **_: object) -> None:
        self.played.append(source)

    def stop(self) -> None:
        self.played.clear()


async def test_keys_that_do_not_come_are_not_waited_for_for_ever() -> None:
    now_s = 100.0
    client = Keyless()
    speech = SpeechOut(clock=lambda: now_s)
    speech.connect(client)  # type: ignore[arg-type]
    now_s += 10 * KEYS_WITHIN_S  # nobody had anything to say
    speech.say(Piece(bytes(1920)))
    await asyncio.sleep(3 * LOOK_S)
    assert not client.played
    now_s += KEYS_WITHIN_S
    await until(lambda: client.played == [speech])
    speech.close()
