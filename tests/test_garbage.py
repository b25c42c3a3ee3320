"""Garbage on every interface gets the documented answer, and costs nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import time
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

import aiohttp
import numpy as np
import pytest
from scene import eventually
from speech import voices
from stack import Stack
from talk import RATE, reading, talk
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack() as running:
        yield running


async def closing(url: str, *messages: str | bytes) -> tuple[int, str]:
    """Connect, send, and see how the server closes: its code and reason. What it says
    is read meanwhile: else the close would wait behind it until we are hung up on."""
    async with connect(url, ping_interval=None) as ws:
        sending = asyncio.create_task(_send_all(ws, messages))
        try:
            while True:
                await asyncio.wait_for(ws.recv(), 60)
        except ConnectionClosed as e:
            # Above 1 MiB, or text that is no UTF-8: dropped without a word (1006).
            return (e.rcvd.code, e.rcvd.reason) if e.rcvd else (1006, "dropped")
        finally:
            await sending


async def _send_all(ws: ClientConnection, messages: Sequence[str | bytes]) -> None:
    with contextlib.suppress(ConnectionClosed):
        for message in messages:
            await ws.send(message)
            await asyncio.sleep(0)  # what comes is read, too


def audio(stack: Stack, public_id: str, **query: str) -> str:
    return f"{stack.ws_url}/session/{public_id}/audio?{urlencode(query)}"


async def test_the_audio_socket_closes_with_the_documented_codes(stack: Stack) -> None:
    made = stack.new_session()
    here, token = made["id"], made["token"]
    ended = stack.new_session()
    stack.api("POST", f"/sessions/{ended['id']}/end")
    bare = made["audio_url"]
    good = f"{bare}&consent=true"
    cases: list[tuple[int, str, tuple[str | bytes, ...]]] = [
        (4004, audio(stack, NOBODY, token=token), ()),
        (4004, audio(stack, "no-such-id", token=token), ()),
        (4004, audio(stack, "%00%ff", token=token), ()),
        (4004, audio(stack, here, token="wrong"), ()),
        (4004, audio(stack, here), ()),
        (4004, audio(stack, here, token="ü\x00\U0001f600"), ()),
        (4004, audio(stack, here, token=ended["token"]), ()),
        (4010, ended["audio_url"], ()),
        (4000, f"{good}&rate=44100", ()),
        (4000, f"{good}&rate=x", ()),
        (4000, f"{good}&stream=me", ()),
        (4000, f"{bare}&consent=ü", ()),
        (4012, bare, ()),
        (4012, f"{bare}&consent=false", ()),
        (4009, good, (b"\x00" * 3,)),
        (4009, good, (b"\x00" * (64 * 1024 + 2),)),
        (4009, good, ("nonsense",)),
        (4009, good, ("[" * 4000,)),
        (4009, good, ("x" * 5000,)),
        (4009, good, ('{"type": "dance"}',)),
        (4009, good, ('{"type": "skip", "samples": -1}',)),
        (4009, good, ('{"type": "skip", "samples": 1e300}',)),
        (4009, good, ("null",)),
        (1006, good, (b"\x00" * (1024 * 1024 + 2),)),
        (1000, good, ('{"type": "stop"}',)),
        (4004, f"{stack.ws_url}/nowhere", ()),
        (4004, f"{stack.ws_url}/session/{NOBODY}/live?token=x", ()),
        (4004, f"{stack.ws_url}/session/{here}/live?token=x", ()),
        (4000, f"{made['live_url']}&after=-1", ()),
        (4000, f"{made['live_url']}&after=1e9", ()),
        (4009, made["live_url"], (b"\x00\x00",)),
        (4009, made["live_url"], ("hello",)),
    ]
    for expected, url, messages in cases:
        code, reason = await closing(url, *messages)
        assert code == expected, (url, messages and messages[0][:40], code, reason)
        assert reason or code == 1000, url


async def test_the_api_answers_with_code_and_message(stack: Stack) -> None:
    made = stack.new_session()
    one = f"/api/sessions/{made['id']}"
    auth = {"Authorization": f"Bearer {stack.token}"}
    json_ = auth | {"Content-Type": "application/json"}
    cases: list[tuple[int, str, str, dict[str, str], Any]] = [
        (401, "POST", "/api/sessions", {}, b"{}"),
        (401, "GET", "/api/sessions", {}, None),
        (401, "GET", one, {}, None),
        (404, "GET", one, {"Authorization": "Bearer wrong"}, None),
        (404, "GET", f"{one}?token=%ff%00", {}, None),
        (404, "GET", f"/api/sessions/{NOBODY}", auth, None),
        (404, "GET", "/api/sessions/%00", auth, None),
        (404, "GET", "/api/sessions/" + "x" * 2000, auth, None),
        (404, "GET", f"{one}/transcript.pdf", auth, None),
        (404, "GET", f"/api/sessions/{NOBODY}/events", auth, None),
        (404, "POST", f"/api/sessions/{NOBODY}/end", json_, b""),
        (404, "GET", "/api/nowhere", auth, None),
        (405, "DELETE", one, auth, None),
        (405, "PUT", "/api/sessions", json_, b"{}"),
        (400, "POST", "/api/sessions", json_, b"{"),
        (400, "POST", "/api/sessions", json_, b"\xff\xfe"),
        (422, "POST", "/api/sessions", json_, b"[]"),
        (422, "POST", "/api/sessions", json_, b'{"title": 7}'),
        (422, "POST", "/api/sessions", json_, b'{"title": "%s"}' % (b"x" * 201)),
        (422, "POST", "/api/sessions", json_, b'{"language": "klingon!"}'),
        (422, "POST", "/api/sessions", json_, b'{"record": "perhaps"}'),
        (422, "GET", "/api/sessions?page=0", auth, None),
        (422, "GET", "/api/sessions?state=lost", auth, None),
        (413, "POST", "/api/sessions", json_, b'{"title": "%s"}' % (b"x" * 200_000)),
    ]
    async with aiohttp.ClientSession() as client:
        for expected, method, path, headers, body in cases:
            url = f"{stack.url}{path}"
            async with client.request(method, url, headers=headers, data=body) as got:
                text = await got.text()
                assert got.status == expected, (method, path[:60], body, text)
                assert set(json.loads(text)) == {"code", "message"}, (path[:60], text)
        host = {"Host": "evil.example"}
        async with client.get(f"{stack.url}{one}", headers=host) as got:
            assert got.status == 400
            assert set(json.loads(await got.text())) == {"code", "message"}


@pytest.mark.alone
async def test_a_flood_and_garbage_cost_another_session_no_sample(stack: Stack) -> None:
    """While one speaks in real time, everything else goes wrong around them."""
    pid = stack.processes["web"].pid
    session, victim = stack.new_session(), stack.new_session()
    phrases = voices.unseen_phrases(4, seed=21, min_words=3)
    spoken = voices.speak_phrases(phrases, pause_s=1.2)
    pcm = np.concatenate([voices.silence(0.5), spoken, voices.silence(1.5)])
    async with reading(session) as viewer:
        speaking = asyncio.create_task(talk(session, pcm))
        began = time.monotonic()
        attacks = [
            flood(f"{victim['audio_url']}&consent=true"),
            tiny_frames(f"{victim['audio_url']}&consent=true"),
            deaf(f"{victim['audio_url']}&consent=true"),
            knocking(stack, 200),
            raw_bytes(stack),
            slow_loris(stack, 50),
        ]
        # On a thread of their own: the speaker is not to be held up on this side.
        results = await asyncio.to_thread(asyncio.run, all_of(attacks))
        print(f"attacked for {time.monotonic() - began:.1f} s")
        sent = await speaking
        await viewer.until(lambda v: len(v.lines) >= len(phrases), within_s=20)
    assert results[0] == results[1] == 4008
    assert sent.acknowledged == len(pcm) * 2
    received = f"received_ms={round(len(pcm) * 1000 / RATE)}"
    closed = r"capture\.closed +\[[\w.]+\] "
    await eventually(lambda: re.search(closed + received, stack.log("web")))
    lines = sorted(viewer.lines, key=lambda e: e["start_ms"])
    loud = np.flatnonzero(np.abs(pcm) > 300)
    gaps = np.flatnonzero(np.diff(loud) > 0.9 * RATE)
    onsets = [loud[0], *(loud[g + 1] for g in gaps)]
    said = [(onset - onsets[0]) * 1000 // RATE for onset in onsets]
    heard = [line["start_ms"] - lines[0]["start_ms"] for line in lines]
    assert np.abs(np.array(said) - np.array(heard)).max() <= 40 + 32  # + one window
    assert stack.processes["web"].poll() is None
    assert stack.processes["web"].pid == pid
    os.kill(pid, 0)
    assert stack.health()["status"] in ("ok", "degraded")
    assert "Traceback" not in stack.log("web")


async def all_of(attacks: list[Coroutine[Any, Any, int | None]]) -> list[int | None]:
    return await asyncio.gather(*attacks)


async def flood(url: str) -> int:
    """Sound as fast as it goes: closed as a flood, after what is allowed ahead."""
    frame = b"\x01\x00" * 16_000
    code, _ = await closing(url, *[frame] * 400)
    return code


async def tiny_frames(url: str) -> int:
    """Frames of one sample, until it is cut off: a slow machine may send more."""
    code, _ = await closing(url, *[b"\x01\x00"] * 100_000)
    return code


async def deaf(url: str) -> None:
    """Sends and never reads its acknowledgements, then breaks off."""
    async with connect(url, max_queue=1) as ws:
        for _ in range(2000):
            await ws.send(b"\x00" * 640)
        ws.transport.abort()


async def knocking(stack: Stack, times: int) -> None:
    """Connections opened and dropped, in every stage of a handshake."""
    for number in range(times):
        _, writer = await asyncio.open_connection("127.0.0.1", stack.port)
        if number % 3:
            writer.write(b"GET /session/x/audio HTTP/1.1\r\nUpgrade: websocket\r\n")
        if number % 3 == 2:
            writer.write(b"Connection: Upgrade\r\nHost: localhost\r\n\r\n")
        writer.close()


async def raw_bytes(stack: Stack) -> None:
    """What is no HTTP at all."""
    dice = np.random.default_rng(3)
    for _ in range(50):
        reader, writer = await asyncio.open_connection("127.0.0.1", stack.port)
        writer.write(dice.bytes(2000) + b"\r\n\r\n")
        writer.write_eof()
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), 10)
        writer.close()


async def slow_loris(stack: Stack, count: int) -> None:
    """Half a request, and then nothing: held open for a while, many at a time."""
    held = []
    for _ in range(count):
        _, writer = await asyncio.open_connection("127.0.0.1", stack.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        held.append(writer)
    await asyncio.sleep(3)
    for one in held:
        one.close()
