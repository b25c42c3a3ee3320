"""Callers that behave badly, to stand beside good ones.

Each connects, does its worst for `seconds` at the most, and tells after how many the
server let go of it; None: it never did.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import uuid
from collections.abc import Awaitable, Callable

FRAME = b"\x10\x01\x40" + bytes(320)
LARGEST = b"\x18\xff\xff" + bytes(65_535)

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
BadCaller = Callable[..., Awaitable["float | None"]]


def hello() -> bytes:
    return b"\x01\x00\x10" + uuid.uuid4().bytes


async def silent(host: str, port: int, *, seconds: float = 10.0) -> float | None:
    """Connects and says nothing, as a health check that hangs."""
    return await _call(host, port, seconds, _nothing)


async def half_open(host: str, port: int, *, seconds: float = 10.0) -> float | None:
    """Begins the UUID and stops in the middle."""

    async def begin(stream: Stream) -> None:
        stream[1].write(hello()[:9])

    return await _call(host, port, seconds, begin)


async def mute(host: str, port: int, *, seconds: float = 10.0) -> float | None:
    """Says its UUID and never another byte, as a call on hold."""

    async def greet(stream: Stream) -> None:
        stream[1].write(hello())

    return await _call(host, port, seconds, greet)


async def half_frame(host: str, port: int, *, seconds: float = 10.0) -> float | None:
    """Stops in the middle of the largest frame there is."""

    async def begin(stream: Stream) -> None:
        stream[1].write(hello() + LARGEST[:-1])

    return await _call(host, port, seconds, begin)


async def slow(host: str, port: int, *, seconds: float = 10.0) -> float | None:
    """Sends a good call byte by byte, a hundred a second."""

    async def drip(stream: Stream) -> None:
        data = hello() + FRAME * 100
        for at in range(len(data)):
            stream[1].write(data[at : at + 1])
            await asyncio.sleep(0.01)

    return await _call(host, port, seconds, drip)


async def flooding(host: str, port: int, *, seconds: float = 10.0) -> float | None:
    """Sends sound as fast as it is taken."""

    async def flood(stream: Stream) -> None:
        stream[1].write(hello())
        while True:
            stream[1].write(FRAME * 200)
            await stream[1].drain()
            await asyncio.sleep(0)  # drain returns at once while there is room

    return await _call(host, port, seconds, flood)


async def babbling(host: str, port: int, *, seconds: float = 10.0) -> float | None:
    """Says its UUID, then noise that is no protocol."""

    async def babble(stream: Stream) -> None:
        chance = random.Random(port)
        stream[1].write(hello())
        while True:
            stream[1].write(chance.randbytes(500))
            await asyncio.sleep(0.02)

    return await _call(host, port, seconds, babble)


async def dialling(host: str, port: int, *, seconds: float = 10.0) -> float | None:
    """Presses keys as fast as they are taken, and says nothing else."""

    async def press(stream: Stream) -> None:
        stream[1].write(hello())
        while True:
            stream[1].write(b"\x03\x00\x015" * 1_000)
            await stream[1].drain()
            await asyncio.sleep(0)

    return await _call(host, port, seconds, press)


async def deaf(host: str, port: int, *, seconds: float = 10.0) -> float | None:
    """Talks in time and never reads: what the server sends piles up."""

    async def talk(stream: Stream) -> None:
        sock = stream[1].get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        stream[1].transport.pause_reading()  # type: ignore[attr-defined]
        stream[1].write(hello())
        while not stream[1].is_closing():
            stream[1].write(FRAME)
            await asyncio.sleep(0.02)

    return await _call(host, port, seconds, talk)


ALL: tuple[BadCaller, ...] = (
    silent,
    half_open,
    mute,
    half_frame,
    slow,
    flooding,
    dialling,
    babbling,
    deaf,
)


async def _call(
    host: str, port: int, seconds: float, behave: Callable[[Stream], Awaitable[None]]
) -> float | None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    stream = await asyncio.open_connection(host, port)
    misdeed = asyncio.ensure_future(behave(stream))
    listening = asyncio.ensure_future(_until_closed(stream[0]))
    done, waiting = await asyncio.wait((listening,), timeout=seconds)
    took = loop.time() - began
    for task in (misdeed, *waiting):
        task.cancel()
    await asyncio.gather(misdeed, listening, return_exceptions=True)
    stream[1].transport.abort()
    return took if done else None


async def _until_closed(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        while await reader.read(65_536):
            pass


async def _nothing(_: Stream) -> None: ...
