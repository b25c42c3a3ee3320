"""A bot is updated in the middle of a call: the call goes on, and loses nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from decoding import decode
from stack import Stack, free_port, wait_for
from telephone import RATE, missing, noise

from bot.phone.caller import Caller


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    settings = {
        "AUDIOSOCKET_PORT": str(free_port()),
        "BOT_HEALTH_PORT": str(free_port()),
        "DRAIN_S": "60",
        "KEEP_ORIGINALS": "True",
        "TTS": "none",
    }
    with Stack(programs=("web", "bot", "media"), **settings) as running:
        yield running


def original_of(stack: Stack, session: str) -> str:
    return stack.manage(
        "shell",
        "-v0",
        "-c",
        "from sessions.models import Recording as R;"
        f"print(R.objects.get(session__public_id='{session}', tier='original',"
        " participant__key='caller').key)",
    ).strip()


def health_of(stack: Stack) -> tuple[int, dict[str, Any]]:
    address = f"http://127.0.0.1:{stack.env['BOT_HEALTH_PORT']}/health"
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, json.load(refusal)


async def test_a_call_outlives_the_word_to_stop(stack: Stack) -> None:
    port, call = int(stack.env["AUDIOSOCKET_PORT"]), uuid.uuid4()
    caller, sound = Caller("127.0.0.1", port, call=call), noise(6.0)
    await caller.connect()
    await caller.say(sound[: 2 * RATE], RATE)
    bot = stack.processes.pop("bot")
    os.kill(bot.pid, signal.SIGTERM)
    await caller.say(sound[2 * RATE :], RATE)
    assert not caller.end
    with pytest.raises(OSError, match=r"refused|Connect"):
        await Caller("127.0.0.1", port).connect()
    status, told = await asyncio.to_thread(health_of, stack)
    assert (status, told["draining"], told["active_calls"]) == (503, True, 1)
    caller.hang_up()
    assert await asyncio.to_thread(bot.wait, 20) == 0
    assert "bot.draining" in stack.log("bot")
    session = stack.api("GET", f"/calls/{call}")["session"]
    path = f"/sessions/{session}"
    stack.start("bot")  # who has the rest of the end done
    await asyncio.to_thread(
        wait_for,
        "the end",
        lambda: stack.api("GET", path)["state"] == "ready",
        within_s=60,
    )
    kept = decode(stack.folder / "storage" / original_of(stack, session))
    assert missing(sound, [kept]) == 0
