"""What goes wrong in a run, one thing after the other: each begins, lasts, and ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import bad_road
import numpy as np
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from bot.phone.caller import Caller
from chaos.clock import stepped
from chaos.services import is_small
from chaos.town import Down, Town
from chaos.wire import Mode

CARRIES = {
    "web-a": "web",
    "web-b": "web",
    "phone-a": "phone",
    "phone-b": "phone",
    "discord": "discord",
}
RATE = 16_000


@dataclass(frozen=True, slots=True)
class Fault:
    """`does(seconds)` makes it happen, waits and mends it."""

    name: str
    does: Callable[[float], Awaitable[None]]
    least_s: float = 0.3
    most_s: float = 3.0


def all_faults(town: Town, session: dict[str, Any], *, step_clock: bool) -> list[Fault]:
    """Every kind there is; `session` is a browser's, for those who misbehave there.
    `step_clock`: also those that put the clock of the whole machine wrong."""
    found = [Fault(f"kill {name}", _killed(town, name)) for name in town.words]
    found += [
        Fault(f"freeze {name}", _frozen(town, name), 0.2, 1.5)
        for name in ("web-a", "phone-a", "discord", "stt", "media")
    ]
    for what, service in (("redis", town.redis), ("postgres", town.database)):
        found += [
            Fault(f"kill {what}", _service_killed(service)),
            Fault(f"freeze {what}", _service_frozen(service)),
        ]
    found += [
        Fault(f"{mode} {name}", _cable(town, name, mode))
        for name in ("database", "redis", "web_a", "web_b", "phone_a")
        for mode in ("cut", "silent", "slow")
    ]
    found += [
        Fault(f"{mode} wire of {name}", _wire(town, name, mode))
        for name in town.wires
        for mode in ("pulled", "narrow")
    ]
    found += [
        Fault(f"S3 {one.__name__}", _store(town, one), 1.0, 6.0)
        for one in (
            bad_road.says(503, "SlowDown"),
            bad_road.hangs,
            bad_road.resets_in_mid_body,
            bad_road.stores_half_and_resets,
            bad_road.stores_nothing,
            bad_road.answers_half,
        )
    ]
    found += [
        Fault("client at ten times the speed", _fast(session, 10.0)),
        Fault("client at half the speed", _fast(session, 0.5)),
        Fault("client in bursts", _bursts(session)),
        Fault("garbage for the web", _garbage(session)),
        Fault("garbage for the phone", _phone_garbage(town)),
    ]
    if is_small(town.stack.folder):
        found.append(Fault("disk full", _full(town), 0.5, 3.0))
    if step_clock:
        found += [
            Fault(f"clock {step:+.0f} s", _clock(step), 1.0, 3.0)
            for step in (2.5, -2.5)
        ]
    return found


# --- processes and what they stand on -------------------------------------------------


def _killed(town: Town, name: str) -> Callable[[float], Awaitable[None]]:
    async def does(seconds: float) -> None:
        since = time.monotonic()
        await asyncio.to_thread(town.kill, name)
        await asyncio.sleep(seconds)
        town.start(name)  # on this thread: it ends with the one that starts it
        await asyncio.to_thread(town.until_ready, name)
        _note(town, name, since)

    return does


def _frozen(town: Town, name: str) -> Callable[[float], Awaitable[None]]:
    async def does(seconds: float) -> None:
        since = time.monotonic()
        town.send(name, signal.SIGSTOP)
        await asyncio.sleep(seconds)
        town.send(name, signal.SIGCONT)
        _note(town, name, since, was_down=False)

    return does


def _service_killed(service: Any) -> Callable[[float], Awaitable[None]]:
    async def does(seconds: float) -> None:
        await asyncio.to_thread(service.kill)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(service.start)

    return does


def _service_frozen(service: Any) -> Callable[[float], Awaitable[None]]:
    async def does(seconds: float) -> None:
        service.send(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        service.send(signal.SIGCONT)

    return does


def _note(town: Town, name: str, since: float, *, was_down: bool = True) -> None:
    if name in CARRIES:
        noted = Down(name, CARRIES[name], since, time.monotonic())
        town.disturbed.append(noted)
        if was_down:
            town.down.append(noted)


# --- the network and the store --------------------------------------------------------


def _cable(town: Town, name: str, mode: str) -> Callable[[float], Awaitable[None]]:
    async def does(seconds: float) -> None:
        since = time.monotonic()
        town.cables.set(**{name: mode})
        await asyncio.sleep(seconds)
        town.cables.set(**{name: "well"})
        was_down = mode != "slow"  # what was not received was not lost
        _note(town, name.replace("_", "-"), since, was_down=was_down)

    return does


def _wire(town: Town, name: str, mode: Mode) -> Callable[[float], Awaitable[None]]:
    async def does(seconds: float) -> None:
        since = time.monotonic()
        await asyncio.to_thread(town.wires[name].set, mode)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(town.wires[name].set, "well")
        _note(town, name, since)  # what a wire drops was not received

    return does


def _store(town: Town, fault: bad_road.Fault) -> Callable[[float], Awaitable[None]]:
    async def does(seconds: float) -> None:
        town.road.always(fault)
        await asyncio.sleep(seconds)
        town.road.chooser = lambda _: None

    return does


# --- the disk and the clock -----------------------------------------------------------


def _full(town: Town) -> Callable[[float], Awaitable[None]]:
    async def does(seconds: float) -> None:
        with full(town):
            await asyncio.sleep(seconds)

    return does


@contextlib.contextmanager
def full(town: Town) -> Iterator[None]:
    """Not a byte is left on the installation's disk."""
    ballast = town.stack.folder / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            left = os.statvfs(town.stack.folder)
            os.posix_fallocate(file.fileno(), 0, left.f_bavail * left.f_frsize)
            while True:
                file.seek(0, os.SEEK_END)
                file.write(bytes(4096))
        yield
    finally:
        ballast.unlink()


def _clock(step_s: float) -> Callable[[float], Awaitable[None]]:
    async def does(seconds: float) -> None:
        with stepped(step_s):
            await asyncio.sleep(seconds)

    return does


# --- clients who misbehave ------------------------------------------------------------


def _address(session: dict[str, Any]) -> str:
    return f"{session['audio_url']}&name=Rogue&rate={RATE}&consent=true"


def _fast(session: dict[str, Any], pace: float) -> Callable[[float], Awaitable[None]]:
    """Sends `pace` times as fast as time."""

    async def does(seconds: float) -> None:
        frame = bytes(640)
        with contextlib.suppress(ConnectionClosed, OSError, TimeoutError):
            async with connect(_address(session), open_timeout=5) as socket:
                for _ in range(int(seconds * 50 * pace)):
                    await socket.send(frame)
                    await asyncio.sleep(0.02 / pace)

    return does


def _bursts(session: dict[str, Any]) -> Callable[[float], Awaitable[None]]:
    async def does(seconds: float) -> None:
        with contextlib.suppress(ConnectionClosed, OSError, TimeoutError):
            async with connect(_address(session), open_timeout=5) as socket:
                for _ in range(int(seconds) + 1):
                    for _ in range(50):
                        await socket.send(bytes(640))
                    await asyncio.sleep(1.0)

    return does


def _garbage(session: dict[str, Any]) -> Callable[[float], Awaitable[None]]:
    async def does(seconds: float) -> None:
        random = np.random.default_rng(int(seconds * 1e6))
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with contextlib.suppress(ConnectionClosed, OSError, TimeoutError):
                async with connect(_address(session), open_timeout=5) as socket:
                    for _ in range(20):
                        data = random.bytes(int(random.integers(1, 2000)))
                        await socket.send(data if random.random() < 0.5 else str(data))
                        await asyncio.sleep(0.01)

    return does


def _phone_garbage(town: Town) -> Callable[[float], Awaitable[None]]:
    async def does(seconds: float) -> None:
        random = np.random.default_rng(int(seconds * 1e6))
        until = time.monotonic() + seconds
        port = town.cables.ports["phone_a"]
        while time.monotonic() < until:
            with contextlib.suppress(OSError, TimeoutError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(random.bytes(int(random.integers(1, 3000))))
                await writer.drain()
                await asyncio.sleep(0.05)
                writer.close()
        mute = Caller("127.0.0.1", port, call=uuid.uuid4())
        with contextlib.suppress(OSError):
            await mute.connect()
            await asyncio.sleep(0.1)
            mute.hang_up()

    return does
