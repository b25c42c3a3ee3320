"""Whoever reads along and comes back misses nothing, and sees nothing twice."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from speech import voices
from stack import Stack
from talk import Viewer, reading, talk
from websockets.asyncio.client import connect

BREAKS = 50


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack() as running:
        yield running


async def restless_by_events(viewer: Viewer, dice: random.Random) -> int:
    """Read by server-sent events, breaking off at random; how often it did."""
    for _ in range(BREAKS):
        task = asyncio.create_task(viewer.read())
        await asyncio.sleep(dice.uniform(0.0, 0.5))
        task.cancel()
        await asyncio.wait([task])
    return BREAKS


async def restless_by_socket(
    url: str, events: list[dict[str, Any]], dice: random.Random
) -> int:
    """The same over the WebSocket."""
    for _ in range(BREAKS):
        after = events[-1]["seq"] if events else 0
        async with connect(f"{url}&after={after}") as socket:
            until = asyncio.get_running_loop().time() + dice.uniform(0.0, 0.5)
            while (left := until - asyncio.get_running_loop().time()) > 0:
                try:
                    event = json.loads(await asyncio.wait_for(socket.recv(), left))
                except TimeoutError:
                    break
                if "seq" in event:
                    events.append(event)
            socket.transport.abort()  # as a network breaks: no farewell
    return BREAKS


async def test_fifty_breaks_leave_exactly_the_lines_of_one_who_stayed(
    stack: Stack,
) -> None:
    session = stack.new_session()
    phrases = voices.unseen_phrases(18, seed=9, max_words=3)
    dice = random.Random(4)
    restless, by_socket = Viewer(session["events_url"]), list[dict[str, Any]]()
    async with reading(session) as stayed:
        *_, breaks, socket_breaks = await asyncio.gather(
            *(
                talk(session, sound(phrases[i::3]), name=f"Speaker-{i}")
                for i in range(3)
            ),
            restless_by_events(restless, dice),
            restless_by_socket(session["live_url"], by_socket, dice),
        )
        assert breaks == socket_breaks == BREAKS
        stack.api("POST", f"/sessions/{session['id']}/end")
        await stayed.until(is_ready, within_s=40)
        last = asyncio.create_task(restless.read())
        await restless.until(is_ready, within_s=20)
        last.cancel()
        await asyncio.wait([last])
        await read_rest(session["live_url"], by_socket)
    assert len(stayed.lines) >= len(phrases) - 2
    numbers = [event["seq"] for event in stayed.events]
    assert numbers == list(range(1, len(numbers) + 1))
    assert restless.events == stayed.events
    assert by_socket == stayed.events


async def read_rest(url: str, events: list[dict[str, Any]]) -> None:
    async with connect(f"{url}&after={events[-1]['seq'] if events else 0}") as socket:
        while not (events and events[-1].get("state") == "ready"):
            event = json.loads(await asyncio.wait_for(socket.recv(), 10))
            if "seq" in event:
                events.append(event)


def is_ready(viewer: Viewer) -> bool:
    states = viewer.of_type("state")
    return bool(states) and states[-1]["state"] == "ready"


def sound(phrases: list[str]) -> np.ndarray:
    spoken = voices.speak_phrases(phrases, pause_s=1.1)
    return np.concatenate([voices.silence(0.3), spoken, voices.silence(1.1)])
