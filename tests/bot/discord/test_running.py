"""`manage.py runbot`, a real process, before a Discord that will not have it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fakecord.entities import Channel, Guild
from fakecord.people import Person
from fakecord.server import FakeDiscord
from scene import eventually
from stack import Stack

PATIENCE_S = 30


class Bot(Stack):
    """The bot alone."""

    def __init__(self, server: FakeDiscord, **env: str) -> None:
        super().__init__(
            programs=("bot",),
            TTS="none",
            DISCORD_CONNECTOR="fakecord.connector.from_environment",
            **{"DISCORD_TOKEN": server.token, **server.env, **env},
        )

    def wait_healthy(self) -> None:
        """It may never be."""

    @property
    def code(self) -> int | None:
        """Of its end, None before that."""
        return self.processes["bot"].poll()


@asynccontextmanager
async def before(server: FakeDiscord, **env: str) -> AsyncIterator[Bot]:
    bot = Bot(server, **env)
    with bot:
        yield bot


async def ends_with(bot: Bot, words: str) -> None:
    """One line to the operator, behind an end in order."""
    await eventually(lambda: bot.code is not None, within_s=PATIENCE_S)
    told = bot.log("bot")
    assert bot.code == 1
    assert told.splitlines()[-1].startswith(f"CommandError: {words}")
    assert "bot.stopped" in told
    assert "Traceback" not in told


async def test_a_wrong_token_is_one_line_and_an_exit_code(server: FakeDiscord) -> None:
    async with before(server, DISCORD_TOKEN="wrong") as bot:
        await ends_with(bot, "Discord refused DISCORD_TOKEN")


async def test_a_missing_intent_is_one_line_and_an_exit_code(
    server: FakeDiscord,
) -> None:
    async with before(server, COMMAND_PREFIX="!") as bot:
        await ends_with(bot, "Discord does not let the bot read messages")


async def test_a_voice_without_encryption_is_one_line_and_an_exit_code(
    server: FakeDiscord, guild: Guild, text: Channel, voice: Channel, ann: Person
) -> None:
    ann.joins(voice)
    server.voice.refuses_with = 4017
    async with before(server) as bot:
        await eventually(ready(bot), within_s=PATIENCE_S)
        asked = await ann.types(text, "record start", within_s=PATIENCE_S)
        await ends_with(bot, "Discord asks for end-to-end encryption")
        assert asked.answer
        assert "could not join" in asked.answer.content
    assert server.world.me(guild.id).voice is None


def ready(bot: Bot) -> Callable[[], bool]:
    return lambda: "discord.ready" in bot.log("bot")
