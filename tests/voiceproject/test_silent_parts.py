"""A database or a Redis that swallows everything: /health/ready says so in time."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import pytest
from cable import Cable, cable
from postgres import postgres_server
from stack import Stack, redis_server, wait_for

from voiceproject.readiness import ALL_ANSWER_S

pytestmark = pytest.mark.stack
SLACK_S = 1.5
"""For a request on a busy machine."""


def asked(stack: Stack) -> tuple[int, dict[str, Any], float]:
    """The status, what it says of each part, and how long that took."""
    began = time.monotonic()
    try:
        with urllib.request.urlopen(f"{stack.url}/health/ready", timeout=20) as answer:
            status, told = answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        with refusal:
            status, told = refusal.code, json.load(refusal)
    return status, told["parts"], time.monotonic() - began


async def test_what_hangs_is_named_and_the_rest_too() -> None:
    with postgres_server() as database, redis_server() as redis:
        async with (
            cable(urlsplit(database).port or 0) as to_database,
            cable(urlsplit(redis).port or 0) as to_redis,
        ):
            settings = {
                "DATABASE_URL": through(to_database, database),
                "REDIS_URL": through(to_redis, redis),
            }
            stack = Stack(programs=("web",), **settings)
            await asyncio.to_thread(stack.__enter__)
            try:
                await looked_at(stack, to_database, to_redis)
            finally:
                for one in (to_database, to_redis):
                    one.set("well")
                await asyncio.to_thread(stack.__exit__)


async def looked_at(stack: Stack, to_database: Cable, to_redis: Cable) -> None:
    status, parts, _ = await asyncio.to_thread(asked, stack)
    assert status == 200
    assert parts["database"]["ok"]
    assert parts["redis"]["ok"]
    for silent, name, other in (
        (to_database, "database", "redis"),
        (to_redis, "redis", "database"),
    ):
        silent.set("silent")
        status, parts, took_s = await asyncio.to_thread(asked, stack)
        assert status == 503
        assert took_s < ALL_ANSWER_S + SLACK_S
        assert "does not answer" in parts[name]["reason"]
        for well in (other, "spool", "storage", "voice_detection"):
            assert parts[well]["ok"], well
        silent.set("well")
        await asyncio.to_thread(
            wait_for, "all well", lambda: asked(stack)[0] == 200, within_s=20
        )


def through(way: Cable, address: str) -> str:
    """The same address at the other end of a cable."""
    return address.replace(str(urlsplit(address).port), str(way.port))
