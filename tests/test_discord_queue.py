"""Fifty who ask at once where one may record at a time, and a bot that is killed in the
middle: everybody is served, in order, once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from fakecord.entities import TEXT, Channel, Guild
from fakecord.people import Person
from fakecord.server import FakeDiscord
from fakecord.world import Moved
from scene import eventually
from stack import Stack

COUNT = 50
KILLED_AFTER = 20
REPORT = """
import json
from bot.models import DiscordCall
from sessions.models import VoiceRequest, VoiceSession
rows = VoiceRequest.objects.order_by("pk")
print(json.dumps({
    "requests": [[r.guild_id, r.state] for r in rows],
    "begun": [s.guild_id for s in
        VoiceSession.objects.exclude(started_at=None).order_by("started_at")],
    "alive": VoiceSession.objects.filter(
        state__in=["requested", "waiting", "active"]).count(),
    "not undone": DiscordCall.objects.filter(undone_at=None).count(),
}))
"""


@dataclass
class Crowd:
    """Each in a server and a voice channel of their own."""

    server: FakeDiscord
    people: dict[int, Person] = field(default_factory=dict)
    served: list[int] = field(default_factory=list)
    """Servers, in the order in which the bot came."""
    at_once: int = 0
    most_at_once: int = 0

    async def arrive(self) -> None:
        for number in range(COUNT):
            guild = self.server.world.add_guild(f"Guild {number}")
            self.server.world.add_text(guild)
            voice = self.server.world.add_voice(guild)
            person = self.server.person(guild, f"Member-{number}")
            self.people[guild.id] = person
            person.joins(voice)
        self.server.world.on_moved.append(self._moved)

    def _moved(self, moved: Moved) -> None:
        if moved.member.id != self.server.world.bot.id:
            return
        if moved.after is None:
            self.at_once -= 1
            return
        if moved.before is None:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            self.served.append(moved.member.guild_id)

    async def ask(self) -> None:
        await asyncio.gather(*map(self._ask, self.people.values()))

    async def _ask(self, person: Person) -> None:
        guild = self.server.world.guilds[person.member.guild_id]
        await person.types(_of_type(guild, TEXT), "record start", within_s=20)

    async def go_when_recorded(self, *, but: Callable[[int], bool]) -> None:
        """Whoever was told that they are recorded has what they wanted, and goes."""
        for guild_id, person in self.people.items():
            guild = self.server.world.guilds[guild_id]
            posted = self.server.world.mail.posted(_of_type(guild, TEXT).id)
            told = any("Recording" in message.content for message in posted)
            if told and person.channel is not None and not but(guild_id):
                person.leaves()

    async def go_on(self) -> None:
        """Until somebody stops this."""
        while True:
            await self.go_when_recorded(but=self._is_to_stay)
            await asyncio.sleep(0.05)

    def _is_to_stay(self, guild_id: int) -> bool:
        """The one with whom the bot is killed."""
        return self.served[KILLED_AFTER - 1 :] == [guild_id]


def _of_type(guild: Guild, type_: int) -> Channel:
    return next(one for one in guild.channels.values() if one.type == type_)


@pytest.fixture
def crowd() -> Iterator[tuple[asyncio.Runner, Stack, Crowd]]:
    server = FakeDiscord()
    with asyncio.Runner() as runner:
        runner.run(server.__aenter__())
        made = Crowd(server)
        runner.run(made.arrive())
        with Stack(
            programs=("web", "bot"),
            DISCORD_TOKEN=server.token,
            DISCORD_CONNECTOR="fakecord.connector.from_environment",
            VOICE_MAX_ACTIVE="1",
            TTS="none",
            **server.env,
        ) as stack:
            try:
                yield runner, stack, made
            except BaseException:
                print(stack.logs())
                raise
        runner.run(server.__aexit__())


def test_everybody_is_served_in_order_and_once(
    crowd: tuple[asyncio.Runner, Stack, Crowd],
) -> None:
    runner, stack, people = crowd
    runner.run(eventually(lambda: "discord.ready" in stack.log("bot"), within_s=20))
    runner.run(until_killing(people))
    stack.kill("bot")
    people.server.gateway.cut()
    killed = people.served[-1]
    people.server.world.leave(people.server.world.me(killed))  # as Discord notices
    people.at_once = 0
    stack.start("bot")
    runner.run(until_over(people))
    found = json.loads(stack.manage("shell", "-v0", "-c", REPORT).strip())
    order = [guild for guild, _ in found["requests"]]
    assert len(order) == COUNT
    assert people.served.count(killed) == 2
    assert [str(guild) for guild in dict.fromkeys(people.served)] == order
    assert len(people.served) == COUNT + 1
    assert found["begun"] == order
    assert {state for _, state in found["requests"]} == {"done"}
    assert people.most_at_once == 1
    assert (found["alive"], found["not undone"]) == (0, 0)


async def until_killing(people: Crowd) -> None:
    await people.ask()
    going = asyncio.create_task(people.go_on())
    await eventually(lambda: len(people.served) == KILLED_AFTER, within_s=60)
    going.cancel()


async def until_over(people: Crowd) -> None:
    going = asyncio.create_task(people.go_on())
    await eventually(lambda: len(people.served) == COUNT + 1, within_s=90)
    await eventually(lambda: people.at_once == 0, within_s=20)
    await asyncio.sleep(1.0)
    going.cancel()
