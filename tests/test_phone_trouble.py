"""The phone in trouble: killed in mid-call, and a caller who says nothing."""

from __future__ import annotations

import asyncio
import contextlib
import io
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soxr
from numpy.typing import NDArray
from speech import voices
from stack import ALL, ROOT, Stack, free_port, listens, wait_for

from bot.phone.caller import Caller

RATE = 8_000
FRAME = 160
FRAME_S = 0.02


@dataclass
class Phones:
    """An installation with two phone servers, as the sample dialplan dials them."""

    stack: Stack
    ports: tuple[int, int]

    def caller(self, number: int = 0, *, call: uuid.UUID | None = None) -> Caller:
        return Caller("127.0.0.1", self.ports[number], call=call)

    def originals(self, call: uuid.UUID) -> bytes:
        """What was received of a caller, lossless: of all its connections."""
        code = (
            "from sessions.models import Recording as R;"
            "from sessions.storage import storage;"
            f"rows = R.objects.filter(session__channel_id='{call}', tier='original',"
            " participant__key='caller').order_by('start');"
            "print(*(row.key for row in rows))"
        )
        keys = self.stack.manage("shell", "-v0", "-c", code).split()
        parts = [(self.stack.folder / "storage" / key).read_bytes() for key in keys]
        return b"".join(map(decoded, parts))

    def wait_ready(self, call: uuid.UUID) -> dict[str, Any]:
        """The session of a call, once its end is complete."""
        found: dict[str, Any] = {}

        def is_ready() -> bool:
            sessions = self.stack.api("GET", "/sessions?source=phone&page_size=200")
            for one in sessions["items"]:
                if one["id"] == self.session_of(call):
                    found.update(one)
            return bool(found and found["state"] == "ready")

        wait_for("the end of the call", is_ready, within_s=60)
        return found

    def session_of(self, call: uuid.UUID) -> str:
        return str(self.stack.api("GET", f"/calls/{call}")["session"])


def decoded(flac: bytes) -> bytes:
    with av.open(io.BytesIO(flac), "r") as file:
        frames = [frame.to_ndarray()[0] for frame in file.decode(audio=0)]
    return bytes(np.concatenate(frames).astype("<i2").tobytes())


@contextlib.contextmanager
def second_server(stack: Stack, port: int) -> Iterator[None]:
    env = stack.env | {"AUDIOSOCKET_PORT": str(port)}
    words = [sys.executable, "manage.py", "runbot", "--only", "phone"]
    with Path(stack.folder / "second.log").open("wb") as log:
        process = subprocess.Popen(
            words, cwd=ROOT, env=env, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def phones() -> Iterator[Phones]:
    ports = (free_port(), free_port())
    settings = {
        "AUDIOSOCKET_PORT": str(ports[0]),
        "RESPONDER": "phone_responder.Counting",
        "KEEP_ORIGINALS": "True",
        "STT_LANGUAGE": "en",
    }
    with Stack(programs=ALL, **settings) as stack, second_server(stack, ports[1]):
        wait_for("the phones", lambda: all(map(listens, ports)), within_s=20)
        yield Phones(stack, ports)


def noise(seconds: float, *, seed: int) -> NDArray[np.int16]:
    """So quiet that it is no speech, and no two frames of it are alike."""
    random = np.random.default_rng(seed)
    return random.integers(-25, 26, int(seconds * RATE)).astype(np.int16)


def at_phone(text: str) -> NDArray[np.int16]:
    sound = soxr.resample(voices.trim(voices.speak(text)), voices.SAMPLE_RATE_HZ, RATE)
    return np.append(sound, np.zeros(-len(sound) % FRAME, np.int16))


def missing(sent: NDArray[np.int16], received: bytes) -> int:
    """How many of the sent frames are not among what was received."""
    frames = sent[: len(sent) // FRAME * FRAME].astype("<i2").reshape(-1, FRAME)
    return sum(frame.tobytes() not in received for frame in frames)


async def test_a_killed_server_costs_less_than_a_second_and_no_word(
    phones: Phones,
) -> None:
    call = uuid.uuid4()
    registered = phones.stack.api("POST", "/calls", {"uuid": str(call)})
    assert registered["session"] is None
    lead, first, gap = noise(5.5, seed=1), at_phone("hello team"), noise(4.0, seed=2)
    second, end = at_phone("next question"), noise(4.0, seed=3)
    before = np.concatenate([lead, first, gap])
    after = np.concatenate([noise(1.0, seed=4), second, end])

    caller = phones.caller(0, call=call)
    await caller.connect()
    await caller.say(before, RATE)
    phones.stack.kill("bot")
    await caller.over(within_s=2)
    again = phones.caller(1, call=call)
    await again.connect()
    await again.say(after, RATE)
    again.hang_up()

    session = await asyncio.to_thread(phones.wait_ready, call)
    phones.stack.start("bot")
    kept = await asyncio.to_thread(phones.originals, call)
    lost = missing(before, kept) + missing(after, kept)
    print(f"lost {lost * FRAME_S * 1000:.0f} ms of sound")
    assert lost * FRAME_S <= 1.0
    url = f"/sessions/{session['id']}/transcript.json"
    lines = phones.stack.api("GET", url)["lines"]
    theirs = [line["text"] for line in lines if line["name"] == "Caller"]
    ours = [line["text"] for line in lines if line["name"] == "Parley"]
    assert theirs == ["hello team", "next question"]
    # Greeting, question and answer: three turns were known on the other server.
    assert ours[1:] == ["Turn 1.", "Turn 3."]
    assert sum(text.startswith("Hello!") for text in ours) == 1


async def test_a_silent_caller_is_asked_and_then_let_go(phones: Phones) -> None:
    call = uuid.uuid4()
    phones.stack.api("POST", "/calls", {"uuid": str(call)})
    caller = phones.caller(1, call=call)
    await caller.connect()
    talking = asyncio.create_task(caller.say(noise(40, seed=5), RATE))
    await caller.over(within_s=40)
    await talking
    spurts = heard(caller)
    assert len(spurts) == 2, "the greeting, and the question"
    assert caller.end == "goodbye"
    (_, greeted_at), (asked_at, asked_to) = spurts
    ended_at = caller.summary().seconds
    print(
        f"asked after {asked_at - greeted_at:.2f} s, gone {ended_at - asked_to:.2f} s"
    )
    # 10 s each, from what a phone has played: 200 ms behind the last frame.
    assert 10.0 <= asked_at - greeted_at <= 10.6
    assert 10.0 <= ended_at - asked_to <= 10.8
    assert (await asyncio.to_thread(phones.wait_ready, call))["end_reason"] == "silence"


def heard(caller: Caller) -> list[tuple[float, float]]:
    """When the server spoke: beginning and end of each, a second's pause apart."""
    at = [one.arrival_s for one in caller.heard if any(one.audio.pcm)]
    breaks = [i + 1 for i, (a, b) in enumerate(pairwise(at)) if b - a > 1]
    edges = [0, *breaks, len(at)]
    return [(at[begin], at[end - 1]) for begin, end in pairwise(edges)]
