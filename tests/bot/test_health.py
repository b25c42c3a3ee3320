"""The page of the bot process: what it says of the phone, and what of Discord."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from answering import calling, opened
from cable import cable
from django.test import override_settings
from fakecord.server import FakeDiscord
from pytest_django.fixtures import Settings
from scene import eventually
from stack import free_port, redis_server

from bot import health as pages
from bot import process
from bot.discord.metrics import VoiceMetrics
from bot.discord.vitals import CallVitals, vitals_of
from bot.health import REDIS_ANSWERS_S, Health
from bot.phone.server import PhoneServer
from bot.phone.talking import build_talking
from sessions import pulses
from sessions.livecache import live

if TYPE_CHECKING:
    from bot.discord.conversation import Conversation


@dataclass
class Shard:
    is_away: bool = False

    def is_closed(self) -> bool:
        return self.is_away


@dataclass
class Guild:
    unavailable: bool = False


@dataclass
class Operator:
    calls: list[Conversation] = field(default_factory=list)


class Client:
    """A client as it stands before it has logged in, or behind that."""

    def __init__(self, *, is_ready: bool) -> None:
        self.operator = Operator()
        self.guilds = [Guild(), Guild(unavailable=True)] if is_ready else []
        self.latency = 0.0213 if is_ready else float("nan")
        self.shards: Mapping[int, Shard] = {0: Shard(), 1: Shard()} if is_ready else {}
        self._is_ready = is_ready

    def is_ready(self) -> bool:
        return self._is_ready

    def loses_a_shard(self) -> None:
        self.shards = {0: Shard(), 1: Shard(is_away=True)}


@asynccontextmanager
async def serving(health: Health) -> AsyncIterator[str]:
    await health.start("127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{health.port}/health"
    finally:
        await health.close()


async def answer(health: Health, path: str = "") -> tuple[int, Any]:
    async with serving(health) as url, aiohttp.ClientSession() as browser:
        page = await browser.get(url + path)
        is_json = page.content_type == "application/json"
        return page.status, await page.json() if is_json else None


async def test_discord_alone_is_well_once_it_is_logged_in() -> None:
    status, told = await answer(Health(None, discord=Client(is_ready=True)))
    assert status == 200
    assert told == {
        "ok": True,
        "draining": False,
        "active_calls": 0,
        "redis": None,
        "phone": None,
        "discord": {
            "ok": True,
            "guilds": 2,
            "unavailable_guilds": 1,
            "latency_ms": 21.3,
            "calls": [],
        },
    }


async def test_discord_alone_is_not_well_before() -> None:
    status, told = await answer(Health(None, discord=Client(is_ready=False)))
    assert status == 503
    assert told["discord"]["latency_ms"] is None


async def test_a_shard_that_is_away_is_not_well() -> None:
    client = Client(is_ready=True)
    client.loses_a_shard()
    status, told = await answer(Health(None, discord=client), "/discord")
    assert (status, told["ok"]) == (503, False)


async def test_discords_part_has_a_page_of_its_own() -> None:
    health = Health(None, discord=Client(is_ready=True))
    status, told = await answer(health, "/discord")
    assert (status, told["guilds"]) == (200, 2)
    assert await answer(Health(None), "/discord") == (404, None)


async def test_a_process_with_neither_is_well() -> None:
    status, told = await answer(Health(None))
    assert status == 200
    assert told == {
        "ok": True,
        "draining": False,
        "active_calls": 0,
        "redis": None,
        "phone": None,
        "discord": None,
    }


@pytest.mark.parametrize("client", [None, Client(is_ready=True)])
async def test_whoever_is_about_to_end_is_not_well(client: Client | None) -> None:
    health = Health(None, discord=client, is_draining=lambda: True)
    status, told = await answer(health)
    assert (status, told["ok"], told["draining"]) == (503, False, True)
    if client is not None:
        assert (await answer(health, "/discord"))[0] == 503


async def test_redis_is_asked_where_there_is_one(settings: Settings) -> None:
    with redis_server() as address:
        settings.REDIS_URL = address
        status, told = await answer(Health(None))
        assert (status, told["redis"]) == (200, {"ok": True, "reason": ""})
        async with cable(urlsplit(address).port or 0) as laid:
            settings.REDIS_URL = f"redis://127.0.0.1:{laid.port}/0"
            laid.set("silent")
            async with asyncio.timeout(REDIS_ANSWERS_S + 4):
                status, told = await answer(Health(None))
    assert status == 200  # calls are taken all the same
    assert told["redis"] == {
        "ok": False,
        "reason": "Redis does not answer: TimeoutError.",
    }


@pytest.fixture
async def phone() -> AsyncIterator[PhoneServer]:
    with override_settings(TTS="none", RESPONDER="none", REDIS_URL=""):
        talking = build_talking()
        server = PhoneServer(talking)
        await server.start("127.0.0.1", 0)
        yield server
        await server.shut_down()
        await talking.close()


@pytest.mark.django_db(transaction=True)
async def test_calls_by_telephone_are_taken_while_discord_is_away(
    phone: PhoneServer,
) -> None:
    health = Health(phone, discord=Client(is_ready=False))
    status, told = await answer(health)
    assert (status, told["listening"], told["active_calls"]) == (200, True, 0)
    assert told["discord"]["ok"] is False
    assert (await answer(health, "/discord"))[0] == 503


@pytest.mark.django_db(transaction=True)
async def test_a_phone_that_is_about_to_end_is_not_well(phone: PhoneServer) -> None:
    status, told = await answer(Health(phone, is_draining=lambda: True))
    assert (status, told["listening"], told["draining"]) == (503, True, True)


@pytest.mark.django_db(transaction=True)
async def test_the_calls_of_both_roads_are_counted(
    phone: PhoneServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = CallVitals("a", "1", 1, VoiceMetrics(), 0, 0, 0.0, None)
    with_a_call = replace(vitals_of(Client(is_ready=True)), calls=(call,))
    monkeypatch.setattr(pages, "vitals_of", lambda _: with_a_call)
    client = Client(is_ready=True)
    async with calling(phone):
        await opened(phone)
        _, told = await answer(Health(phone, discord=client))
    assert told["active_calls"] == 2
    assert len(told["discord"]["calls"]) == 1


@pytest.mark.django_db(transaction=True)
async def test_the_bot_process_tells_of_its_own_discord(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings.DATA_DIR = settings.LOGS_DIR = tmp_path
    settings.TTS, settings.BOT_HEALTH_PORT = "none", free_port()
    settings.DISCORD_CONNECTOR = "fakecord.connector.from_environment"
    async with FakeDiscord() as server, aiohttp.ClientSession() as browser:
        server.world.add_guild()
        settings.DISCORD_TOKEN = server.token
        for name, value in server.env.items():
            monkeypatch.setenv(name, value)
        page = f"http://127.0.0.1:{settings.BOT_HEALTH_PORT}/health"
        live().clear()
        running = asyncio.create_task(process.run(process.Only.DISCORD))
        try:
            async with asyncio.timeout(20):
                while not (told := await asked(browser, page)).get("ok"):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            await eventually(lambda: pulses.age_s("discord") is not None)
            assert pulses.age_s("phone") is None
        finally:
            running.cancel()
            await asyncio.wait([running])
    assert told["discord"]["guilds"] == 1


async def asked(browser: aiohttp.ClientSession, page: str) -> dict[str, Any]:
    """What it says; {} while nobody answers."""
    try:
        found: dict[str, Any] = await (await browser.get(page)).json()
    except aiohttp.ClientError:
        return {}
    return found
