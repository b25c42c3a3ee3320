"""A broken network is one line of the log, a fault of the code a traceback; each line
is JSON for machines, and says whose it is."""

from __future__ import annotations

import asyncio
import json
import logging
import sys

import pytest
from structlog.contextvars import bind_contextvars, get_contextvars

from sessions.background import spawn
from voiceproject.logs import NetworkIsNoFault, configured


def logged(name: str, error: Exception) -> logging.LogRecord:
    try:
        raise error
    except Exception:
        told = sys.exc_info()
    record = logging.LogRecord(
        name, logging.ERROR, __file__, 1, "Trying again in %ss", (3,), told
    )
    assert NetworkIsNoFault().filter(record)
    return record


@pytest.mark.parametrize("error", [ConnectionRefusedError(), TimeoutError()])
def test_a_broken_connection_of_discords_is_one_line(error: Exception) -> None:
    record = logged("discord.shard", error)
    assert record.exc_info is None
    assert record.getMessage() == f"Trying again in 3s ({type(error).__name__})"


def test_a_fault_of_discords_keeps_its_traceback() -> None:
    assert logged("discord.client", KeyError("shard")).exc_info


def test_ours_keep_theirs() -> None:
    assert logged("bot.process", ConnectionRefusedError()).exc_info


@pytest.mark.parametrize("name", ["bot.process", "django.request"])
def test_a_traceback_is_text_in_a_line_of_json(name: str) -> None:
    made = configured(level="INFO", as_json=True)["formatters"]["structured"]
    formatter = made.pop("()")(**made)
    (line,) = formatter.format(logged(name, KeyError("shard"))).splitlines()
    told = json.loads(line)
    assert told["event"] == "Trying again in 3s"
    assert "Traceback (most recent call last)" in told["exception"]
    assert "KeyError: 'shard'" in told["exception"]


async def test_what_it_works_for_stands_on_each_line_of_a_task() -> None:
    found = []

    async def work() -> None:
        await asyncio.to_thread(lambda: found.append(get_contextvars()))
        found.append(get_contextvars())

    bind_contextvars(session=1)
    await spawn(work(), name="work", session=7, track=9)
    await spawn(work(), name="of nobody")
    assert found == [{"session": 7, "track": 9}] * 2 + [{}] * 2
