"""A whole conversation and a call in real processes, every warning an error: nothing is
told."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import numpy as np
import pytest
import soxr
from speech import voices
from stack import Stack, free_port
from talk import reading, talk

from bot.phone.caller import Caller, Heard

PHRASES = ["hello team thank you", "open the meeting please"]
COMPLAINT = re.compile(r"Warning|Traceback|Exception ignored|\[(?:warning|error) +\]")
# asyncio's own, in development mode, about a machine that was busy for 0.1 s.
BUSY = re.compile(r"Executing <.* took [\d.]+ seconds")
PATIENCE_S = 30
PHONE_RATE = 8_000


@pytest.fixture(scope="module")
def phone_port() -> int:
    return free_port()


@pytest.fixture
def stack(phone_port: int) -> Iterator[Stack]:
    with Stack(
        PYTHONDEVMODE="1",
        PYTHONWARNINGS="error",
        AUDIOSOCKET_PORT=str(phone_port),
        RESPONDER="echo",
    ) as running:
        yield running


async def test_no_process_complains(stack: Stack, phone_port: int) -> None:
    calling = asyncio.create_task(call(phone_port))
    spoken = voices.speak_phrases(PHRASES, voice=voices.UNSEEN_VOICES[0], pause_s=1.2)
    session = stack.new_session()
    async with reading(session) as viewer:
        await talk(session, np.concatenate([spoken, voices.silence(1.2)]))
        await viewer.until(lambda v: len(v.lines) >= 2, within_s=PATIENCE_S)
        stack.api("POST", f"/sessions/{session['id']}/end")
        await viewer.until(
            lambda v: v.of_type("state")[-1]["state"] == "ready", within_s=PATIENCE_S
        )
    assert [one.audio.pcm for one in await calling if any(one.audio.pcm)]
    stack.stop()  # its end belongs to it
    told = stack.logs()
    assert "web.stopped" in told
    complaints = [line for line in told.splitlines() if COMPLAINT.search(line)]
    assert not [line for line in complaints if not BUSY.search(line)]


async def call(port: int) -> list[Heard]:
    """Somebody is greeted, says something and hangs up; what they heard."""
    caller = Caller("127.0.0.1", port)
    await caller.connect()
    await caller.wait(4)
    said = voices.speak(PHRASES[0])
    await caller.say(soxr.resample(said, voices.SAMPLE_RATE_HZ, PHONE_RATE), PHONE_RATE)
    await caller.wait(2)
    caller.hang_up()
    await caller.over(within_s=5)
    return caller.heard
