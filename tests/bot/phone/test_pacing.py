"""Pacing, with a real pacer: what it tells is what was heard, and it may be killed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from scene import eventually

from bot.phone.orders import UNSENT
from bot.phone.pacing import Pacing

SILENCE = b"\x10\x01\x40" + bytes(320)

pytestmark = pytest.mark.alone  # frames every 20 ms


@dataclass(eq=False)
class Line:
    """One that says what it is given, and counts; `ear` is its other end."""

    pacing: Pacing
    fails: bool = False
    frames: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.mouth, self.ear = socket.socketpair()
        self.ear.settimeout(5)
        self.number = self.pacing.add(self)
        self.pace()

    def pace(self) -> None:
        self.pacing.pace(self.number, self.mouth.fileno(), SILENCE)

    def paced(self, taken: int, *, skipped: int) -> None:
        self.frames.append(taken)
        if self.fails:
            raise RuntimeError("a fault of ours")

    def hang_up(self) -> None:
        self.mouth.close()
        self.ear.close()

    @property
    def said(self) -> int:
        return sum(taken for taken in self.frames if taken != UNSENT)

    def hears(self, frames: int) -> bytes:
        got = b""
        while len(got) < frames * len(SILENCE):
            got += self.ear.recv(frames * len(SILENCE) - len(got))
        return got


@contextmanager
def running() -> Iterator[Pacing]:
    pacing = Pacing()
    pacing.start()
    try:
        yield pacing
    finally:
        for line in list(pacing._lines.values()):
            assert isinstance(line, Line)
            line.hang_up()
        pacing.close()


def pid(pacing: Pacing) -> int:
    assert pacing._process is not None
    return pacing._process.pid


async def test_what_was_heard_is_told() -> None:
    with running() as pacing:
        line = Line(pacing)
        pacing.say(line.number, b"\x01" * 1_000)
        got = await asyncio.to_thread(line.hears, 10)
        await eventually(lambda: len(line.frames) >= 10)
        begins = line.frames.index(320)
        assert line.frames[begins : begins + 5] == [320, 320, 320, 40, 0]
        assert got.replace(SILENCE[:3], b"").strip(b"\x00") == b"\x01" * 1_000
        assert pacing.late_s < 1.0
        assert pacing.beat_at is not None


@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.13])
async def test_hushed_the_line_knows_to_the_byte_what_was_heard(after_s: float) -> None:
    with running() as pacing:
        line = Line(pacing)
        pacing.say(line.number, b"\x01" * 32_000)
        time.sleep(after_s)  # noqa: ASYNC251 (nothing is read meanwhile)
        pacing.hush(line.number)
        said = line.said
        frames = len(line.frames)
        got = await asyncio.to_thread(line.hears, frames + 10)
        assert got.count(b"\x01" * 320) * 320 == said
        assert got.endswith(SILENCE * 9)
        await eventually(lambda: len(line.frames) >= frames + 5)
        assert line.said == said


async def test_one_lines_fault_silences_no_other() -> None:
    with running() as pacing:
        Line(pacing, fails=True)
        good = Line(pacing)
        await asyncio.to_thread(good.hears, 10)
        await eventually(lambda: len(good.frames) >= 10)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_pacer_that_dies_or_hangs_is_begun_anew(how: signal.Signals) -> None:
    with running() as pacing:
        line = Line(pacing)
        await eventually(lambda: len(line.frames) >= 3)
        before = pid(pacing)
        os.kill(before, how)
        await eventually(lambda: pid(pacing) != before)
        count = len(line.frames)
        await eventually(lambda: len(line.frames) >= count + 5)
        pacing.say(line.number, b"\x01" * 640)
        await eventually(lambda: line.said == 640)
        with pytest.raises(ProcessLookupError):
            os.kill(before, 0)


async def test_a_pacer_that_hangs_hushes_nobody_and_holds_nobody_up() -> None:
    with running() as pacing:
        line = Line(pacing)
        pacing.say(line.number, b"\x01" * 64_000)
        await eventually(lambda: line.said)
        os.kill(pid(pacing), signal.SIGSTOP)
        begun = time.monotonic()
        pacing.hush(line.number)
        assert time.monotonic() - begun < 1.0
        os.kill(pid(pacing), signal.SIGCONT)
        said = line.said
        count = len(line.frames)
        await eventually(lambda: len(line.frames) >= count + 10)
        assert line.said == said, "what went out behind it is nobody's"


async def test_a_line_that_ends_says_its_last_and_is_closed() -> None:
    with running() as pacing:
        line = Line(pacing)
        await eventually(lambda: len(line.frames) >= 3)
        pacing.remove(line.number, last=b"\x00\x00\x00")
        line.mouth.close()
        got = b""
        while data := await asyncio.to_thread(line.ear.recv, 4096):
            got += data
        assert got.endswith(b"\x00\x00\x00")
        assert got[:-3] == SILENCE * (len(got) // len(SILENCE))
        await eventually(lambda: pacing.beat_at is None)
        line.ear.close()


async def test_with_the_bot_goes_its_pacer_and_with_that_every_line() -> None:
    pacing = Pacing()
    pacing.start()
    line, number = Line(pacing), pid(pacing)
    await eventually(lambda: len(line.frames) >= 3)
    line.mouth.close()
    pacing.close()
    while await asyncio.to_thread(line.ear.recv, 4096):
        pass
    line.ear.close()
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
